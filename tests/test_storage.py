"""Shared storage, against a real S3 API on real sockets: what arrives, what fails, and that a second try completes."""

import os
import re
import subprocess
from collections.abc import Iterator
from hashlib import md5
from pathlib import Path

import pytest

from tests import s3
from tests.conftest import Project
from tests.imports import ROOT
from tests.test_pipeline import ran

MODEL = "models/edge.onnx"
FOLDER = "data/prepared"
TURN_ON = (f"dvc remote modify storage url s3://{s3.BUCKET}/edge", "dvc remote default storage")
OBJECTS = "edge/files/md5"


def clone(origin: Project, folder: Path) -> Project:
    """A clone with an empty cache."""
    subprocess.run(["git", "clone", "--quiet", origin.folder, folder], check=True)
    return Project(folder)


def object_name(digest: str) -> str:
    """The name in the bucket of the object with this md5."""
    return f"{OBJECTS}/{digest[:2]}/{digest[2:]}"


def locked(project: Project, output: str) -> str:
    """The md5 of an output in dvc.lock; for a folder, that of its list of files."""
    return re.search(rf"path: {output}\n\s+hash: md5\n\s+md5: (\S+)", (project.folder / "dvc.lock").read_text())[1]


def is_whole(name: str, content: bytes) -> bool:
    """Whether the bytes of an object, in the bucket or in a cache, have the hash in its name."""
    return md5(content).hexdigest() == "".join(Path(name).parts[-2:]).removesuffix(".dir")


def refused(project: Project, *words: str, **variables: str) -> str:
    """Run a DVC command that must fail without a trace-back and without harm to the cache; returns its errors."""
    result = project.run("dvc", *words, **variables)
    assert result.returncode != 0, result.stdout
    assert "Traceback" not in result.stderr
    objects = [path for path in (project.folder / ".dvc/cache").glob("files/md5/??/*") if path.is_file()]
    assert [path for path in objects if not is_whole(path, path.read_bytes())] == []
    return result.stderr


@pytest.fixture(scope="module")
def store() -> Iterator[s3.Store]:
    """A server, and an environment that leads to it and to nothing else."""
    with s3.server() as store, pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith("AWS_")]:
            patch.delenv(name)
        quick = {"AWS_MAX_ATTEMPTS": "1", "AWS_EC2_METADATA_DISABLED": "true"}
        place = {"AWS_ENDPOINT_URL": store.endpoint, "AWS_DEFAULT_REGION": s3.REGION}
        for name, value in (quick | place | store.keys).items():
            patch.setenv(name, value)
        yield store


@pytest.fixture(scope="module")
def sender(toy, store, tmp_path_factory) -> Project:
    """A clone with the cache of the run, storage turned on by the lines of docs/storage.md, and all of it pushed."""
    project = clone(toy, tmp_path_factory.mktemp("storage") / "sender")
    project.ok("dvc", "cache", "dir", "--local", str(toy.folder / ".dvc/cache"))
    for line in TURN_ON:
        project.ok(*line.split())
    project.ok("git", "-c", "user.name=Test", "-c", "user.email=test@example.org", "commit", "-qam", "Storage")
    project.ok("dvc", "push")
    return project


@pytest.fixture
def receiver(sender, tmp_path) -> Project:
    """A second clone, with an empty cache."""
    return clone(sender, tmp_path / "clone")


def test_the_documented_lines_turn_it_on():
    """The lines with which these tests turn the storage on are those of docs/storage.md."""
    text = (ROOT / "docs/storage.md").read_text().replace("my-bucket", s3.BUCKET)
    assert all(line in text for line in TURN_ON)


def test_storage_is_off_until_it_is_named(toy, tmp_path):
    """Before those lines, `dvc push` says that there is no default remote and how to name one."""
    text = refused(clone(toy, tmp_path / "clone"), "push")
    assert "no remote specified" in text
    assert "dvc remote default" in text


def test_a_clone_gets_everything_and_reruns_nothing(store, receiver):
    """After `dvc pull` a clone has the models and the measurements of the run, and `dvc repro` runs no stage."""
    receiver.ok("dvc", "pull")
    assert (receiver.folder / MODEL).read_bytes() == store.read(object_name(locked(receiver, MODEL)))
    assert [path.name for path in (receiver.folder / "metrics/devices").iterdir()] == ["local.json"]
    assert ran(receiver.ok("dvc", "repro")) == []


def test_a_corrupted_object_stays_out_of_the_cache(store, receiver):
    """Wrong bytes under a right name: the pull fails and names the file, -v the object; once whole, it completes."""
    name = object_name(locked(receiver, MODEL))
    whole = store.read(name)
    store.write(name, whole[:-1] + bytes([whole[-1] ^ 1]))
    try:
        assert MODEL in refused(receiver, "pull", MODEL)
        assert not (receiver.folder / MODEL).exists()
        more = receiver.run("dvc", "pull", "-v", MODEL)
        assert re.search(f"corrupted cache file '.*{name.partition('/')[2]}'", more.stdout + more.stderr)
    finally:
        store.write(name, whole)
    receiver.ok("dvc", "pull", MODEL)
    assert (receiver.folder / MODEL).read_bytes() == whole


def test_a_missing_object_comes_back_by_a_push(store, sender, receiver):
    """The pull names the file and its hash; a push from where it is whole brings it back."""
    digest = locked(receiver, MODEL)
    store.delete(object_name(digest))
    try:
        text = refused(receiver, "pull", MODEL)
    finally:
        sender.ok("dvc", "push")
    assert MODEL in text
    assert digest in text
    receiver.ok("dvc", "pull", MODEL)


def test_a_file_of_a_folder_comes_back_with_its_list(store, sender, receiver):
    """DVC takes a folder for whole while the bucket has its list: with the list deleted too, a push restores both."""
    listed = object_name(locked(receiver, FOLDER))
    digest = re.search(r"[0-9a-f]{32}", store.read(listed).decode())[0]
    store.delete(object_name(digest))
    try:
        assert digest in refused(receiver, "pull", FOLDER)
    finally:
        store.delete(listed)
        sender.ok("dvc", "push")
    receiver.ok("dvc", "pull", FOLDER)


def test_a_pull_completes_after_the_line_was_cut(store, receiver):
    """A line that dies in mid-pull: the error names the server; the next pull fetches the rest."""
    with s3.line(store.endpoint, left=40_000) as line:
        assert line.endpoint in refused(receiver, "pull", AWS_ENDPOINT_URL=line.endpoint)
        assert line.left == 0
        line.left = None
        receiver.ok("dvc", "pull", AWS_ENDPOINT_URL=line.endpoint)


def test_a_push_completes_after_the_line_was_cut(store, sender, receiver):
    """A line that dies in mid-push: the error names the server, no object is half; the next push sends the rest."""
    receiver.ok("dvc", "pull")
    receiver.ok(*f"dvc remote modify --local storage url s3://{s3.BUCKET}/second/edge".split())
    with s3.line(store.endpoint, left=16_000) as line:
        assert line.endpoint in refused(receiver, "push", "--jobs", "1", AWS_ENDPOINT_URL=line.endpoint)
        arrived = store.names("second/")
        assert 0 < len(arrived) < len(store.names(OBJECTS))
        assert all(is_whole(name, store.read(name)) for name in arrived)
        line.left = None
        receiver.ok("dvc", "push", AWS_ENDPOINT_URL=line.endpoint)
    assert [name.removeprefix("second/") for name in store.names("second/")] == store.names(OBJECTS)


def test_wrong_credentials_are_refused(receiver):
    """A wrong key or secret: DVC says that the server forbids it, and where; with the right ones the pull completes."""
    for wrong in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        text = refused(receiver, "pull", **{wrong: "wrong"})
        assert s3.BUCKET in text
        assert "Forbidden" in text
    receiver.ok("dvc", "pull")
    assert "Forbidden" in refused(receiver, "push", AWS_SECRET_ACCESS_KEY="wrong")


def test_a_full_disk_leaves_whole_objects(receiver):
    """The cache's disk fills up in mid-pull: the error says so; with more space, the pull completes."""
    cache = receiver.folder / ".dvc/cache"
    cache.mkdir()
    mount = receiver.run("mount", "-t", "tmpfs", "-o", "size=48k", "tmpfs", str(cache))
    if mount.returncode:
        pytest.skip(f"NO DISK CAN BE MOUNTED HERE (run as root), so none was filled: {mount.stderr.strip()}")
    try:
        assert "No space left on device" in refused(receiver, "pull")
        receiver.ok("mount", "-o", "remount,size=64m", str(cache))
        receiver.ok("dvc", "pull")
    finally:
        receiver.ok("umount", str(cache))
