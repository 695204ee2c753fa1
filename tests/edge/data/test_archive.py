"""Archives and folders, good and bad."""

import bz2
import gzip
import io
import lzma
import os
import subprocess
import sys
import tarfile
import zipfile

import numpy as np
import pytest

from edge.core.errors import UserError
from edge.data.archive import Limits, members

CONTENT = {"top/b/2.wav": b"two" * 1000, "top/a/1.wav": b"one", "top/a/10.wav": b"", "top/README": b"text"}


def tar_bytes(*extra: tarfile.TarInfo) -> bytes:
    """A tar of CONTENT, not in sorted order, and ``extra`` members without data."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as tar:
        for name, data in CONTENT.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            tar.addfile(entry, io.BytesIO(data))
        for entry in extra:
            tar.addfile(entry)
    return file.getvalue()


def content(path, **options) -> dict[str, bytes]:
    with members(path, **options) as found:
        assert found.names == sorted(found.names)
        return {name: found.read(name) for name in found.names}


@pytest.mark.parametrize("pack", [bytes, gzip.compress, bz2.compress, lzma.compress])
def test_tar(tmp_path, pack):
    """A tar, plain or compressed, gives its files in sorted order."""
    (tmp_path / "data").write_bytes(pack(tar_bytes()))
    assert content(tmp_path / "data") == CONTENT


def test_zip_and_folder_read_alike(tmp_path):
    """A zip and a folder give the same as a tar, without hidden files."""
    with zipfile.ZipFile(tmp_path / "data.zip", "w") as archive:
        for name, data in (CONTENT | {"top/.hidden/x": b""}).items():
            archive.writestr(name, data)
            (tmp_path / "tree" / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / "tree" / name).write_bytes(data)
    assert content(tmp_path / "data.zip") == CONTENT
    assert content(tmp_path / "tree") == CONTENT


def test_only_what_is_wanted(tmp_path):
    """Members that nobody wants are left out."""
    (tmp_path / "data.tar").write_bytes(tar_bytes())
    assert list(content(tmp_path / "data.tar", wanted=lambda name: name.endswith("1.wav"))) == ["top/a/1.wav"]


@pytest.mark.parametrize("name", ["../evil", "/etc/evil", "top/../../evil", "..\\evil", "c:\\evil"])
def test_climbing_paths(tmp_path, name):
    """A member that points outside is an error in a tar and in a zip."""
    (tmp_path / "data.tar").write_bytes(tar_bytes(tarfile.TarInfo(name)))
    with zipfile.ZipFile(tmp_path / "data.zip", "w") as archive:
        archive.writestr(name, b"")
    for path in (tmp_path / "data.tar", tmp_path / "data.zip"):
        with pytest.raises(UserError, match="points outside"):
            content(path)


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE])
def test_links_and_devices(tmp_path, kind):
    """Links and devices in a tar are errors."""
    entry = tarfile.TarInfo("top/odd")
    entry.type, entry.linkname = kind, "/etc/passwd"
    (tmp_path / "data.tar").write_bytes(tar_bytes(entry))
    with pytest.raises(UserError, match="'top/odd' is a link or a device"):
        content(tmp_path / "data.tar")


def test_link_in_a_zip(tmp_path):
    """A symbolic link in a zip is an error."""
    info = zipfile.ZipInfo("top/odd")
    info.external_attr = 0o120777 << 16
    with zipfile.ZipFile(tmp_path / "data.zip", "w") as archive:
        archive.writestr(info, "/etc/passwd")
    with pytest.raises(UserError, match="'top/odd' is a link or a device"):
        content(tmp_path / "data.zip")


def test_links_in_a_folder_are_not_followed(tmp_path):
    """A link to a file, to a folder, and a pipe are left out with their reason: nothing outside is read."""
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret/key.wav").write_bytes(b"secret")
    tree = tmp_path / "tree/yes"
    tree.mkdir(parents=True)
    (tree / "a.wav").write_bytes(b"sound")
    (tree / "b.wav").symlink_to(tmp_path / "secret/key.wav")
    (tree.parent / "no").symlink_to(tmp_path / "secret")
    os.mkfifo(tree / "c.wav")
    (tree / ".d.wav").touch()
    (tree / "e\n.wav").touch()
    assert content(tmp_path / "tree") == {"yes/a.wav": b"sound"}
    with members(tmp_path / "tree") as found:
        assert found.skipped == {
            "no": "symbolic link",
            "yes/b.wav": "symbolic link",
            "yes/c.wav": "no plain file",
            "yes/.d.wav": "hidden",
            "yes/e\n.wav": "control character in its name",
        }


def packed(folder) -> list:
    """CONTENT as a tar, a tar.gz, a zip and a folder."""
    (folder / "data.tar").write_bytes(tar_bytes())
    (folder / "data.tar.gz").write_bytes(gzip.compress(tar_bytes()))
    with zipfile.ZipFile(folder / "data.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in CONTENT.items():
            archive.writestr(name, data)
            (folder / "tree" / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / "tree" / name).write_bytes(data)
    return [folder / name for name in ("data.tar", "data.tar.gz", "data.zip", "tree")]


def test_a_file_above_the_limit_is_skipped(tmp_path):
    """A file that is larger than one may be is left out with its reason, wherever it is."""
    for path in packed(tmp_path):
        with members(path, limits=Limits(file=2999)) as found:
            assert found.names == ["top/README", "top/a/1.wav", "top/a/10.wav"]
            assert found.skipped == {"top/b/2.wav": "larger than collect.limits.file_mb = 0.002999"}


def test_an_archive_above_the_limit_is_an_error(tmp_path):
    """More bytes unpacked than an archive may have are one line that names the setting."""
    for path in packed(tmp_path):
        with pytest.raises(UserError, match=r"has more than 3e-06 GB unpacked: raise collect.limits.archive_gb"):
            content(path, limits=Limits(total=3000))


BOMB = """
import re, sys
from pathlib import Path
from edge.core.errors import UserError
from edge.data.archive import members
try:
    with members(Path(sys.argv[1])) as found:
        print(found.skipped, [len(found.read(name)) for name in found.names])
except UserError as error:
    print(error)
print(int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]) // 1024)
"""


def lying_zip() -> bytes:
    """A zip with a member of 400 MB that states 1,000 bytes in both of its headers."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("yes/a.wav", bytes(400_000_000))
    size = (400_000_000).to_bytes(4, "little")
    assert file.getvalue().count(size) == 2
    return file.getvalue().replace(size, (1000).to_bytes(4, "little"))


def honest_zip() -> bytes:
    """A zip with a member of 400 MB that says so."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("yes/a.wav", bytes(400_000_000))
    return file.getvalue()


def header_bomb() -> bytes:
    """A tar.gz whose extended header has 400 MB."""
    entry = tarfile.TarInfo("header")
    entry.type, entry.size = tarfile.XHDTYPE, 400_000_000
    return gzip.compress(entry.tobuf(tarfile.USTAR_FORMAT) + bytes(entry.size), 1)


@pytest.mark.parametrize(
    ("bomb", "said"),
    [(honest_zip, "larger than"), (lying_zip, "is damaged at yes/a.wav"), (header_bomb, "asks for 400000000 bytes")],
)
def test_a_small_archive_takes_little_memory(tmp_path, bomb, said):
    """Hundreds of megabytes of nothing, packed small, are refused in less than 150 MB of memory."""
    (tmp_path / "bomb").write_bytes(bomb())
    run = subprocess.run([sys.executable, "-c", BOMB, tmp_path / "bomb"], capture_output=True, text=True, check=True)
    assert said in run.stdout
    assert int(run.stdout.split()[-1]) < 150


def test_a_negative_size(tmp_path):
    """A member that states a negative size is an error that names it."""
    entry = tarfile.TarInfo("yes/a.wav")
    header = bytearray(entry.tobuf(tarfile.GNU_FORMAT))
    header[124:136] = b"\xff" * 10 + b"\xfe\x00"
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    (tmp_path / "data.tar").write_bytes(bytes(header) + bytes(1024))
    with pytest.raises(UserError, match=r"data\.tar is damaged or ends early, at yes/a.wav: .*its size is -512"):
        content(tmp_path / "data.tar")


def test_a_damaged_header_is_not_the_end(tmp_path):
    """A tar with a damaged header in its middle is an error; the files after it do not go missing in silence."""
    whole = bytearray(tar_bytes())
    whole[whole.index(b"top/a/1.wav")] ^= 1
    (tmp_path / "data.tar").write_bytes(whole)
    with pytest.raises(UserError, match="at top/b/2.wav: fetch or pack it again .the header after it is damaged"):
        content(tmp_path / "data.tar")


def test_a_member_that_is_there_twice(tmp_path):
    """Of two members of one name the later one counts, in a zip as in a tar."""
    with zipfile.ZipFile(tmp_path / "data.zip", "w") as archive:
        archive.writestr("yes/a.wav", b"first")
        with pytest.warns(UserWarning, match="Duplicate"):
            archive.writestr("yes/a.wav", b"second")
    assert content(tmp_path / "data.zip") == {"yes/a.wav": b"second"}


def test_no_temporary_folder(tmp_path, monkeypatch):
    """Where no temporary file can be written the error says so, and what to set."""
    (tmp_path / "data.tar").write_bytes(tar_bytes())
    monkeypatch.setattr("tempfile._get_candidate_names", lambda: iter(()))
    monkeypatch.setattr("tempfile.tempdir", None)
    monkeypatch.setattr("tempfile._candidate_tempdir_list", lambda: [str(tmp_path / "full")])
    with pytest.raises(UserError, match="no temporary file can be written in .*set TMPDIR"):
        content(tmp_path / "data.tar")


@pytest.mark.parametrize("pack", [bytes, gzip.compress, bz2.compress, lzma.compress])
def test_truncated_tar(tmp_path, pack):
    """A tar that ends early is an error that names the file and the member."""
    noise = np.random.default_rng(1).bytes(300_000)
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as tar:
        for name in ("first", "second"):
            entry = tarfile.TarInfo(name)
            entry.size = len(noise)
            tar.addfile(entry, io.BytesIO(noise))
    whole = pack(file.getvalue())
    (tmp_path / "data.tar.x").write_bytes(whole[: len(whole) * 3 // 4])
    with pytest.raises(UserError, match=r"data\.tar\.x is damaged or ends early, at (its first member|first|second)"):
        content(tmp_path / "data.tar.x")


def test_truncated_and_damaged_zip(tmp_path):
    """A zip without its end, and one with a damaged member, are errors."""
    path = tmp_path / "data.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("top/a", b"content")
    whole = path.read_bytes()
    path.write_bytes(whole[:-30])
    with pytest.raises(UserError, match="data.zip is damaged or ends early"):
        content(path)
    path.write_bytes(whole.replace(b"content", b"changed"))
    with pytest.raises(UserError, match="data.zip is damaged at top/a"):
        content(path)


def test_no_archive(tmp_path):
    """What is not there, and what is no archive, are errors that name the path."""
    with pytest.raises(UserError, match="nothing does not exist"):
        content(tmp_path / "nothing")
    (tmp_path / "text").write_text("no archive" * 100)
    with pytest.raises(UserError, match="text is damaged"):
        content(tmp_path / "text")
