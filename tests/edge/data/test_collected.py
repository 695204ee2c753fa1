"""Files and their manifest are written together and read back together."""

import tarfile

import pytest

from edge.core.errors import UserError
from edge.data import collected

TAR_OF_NONE = b"\0" * 10240
ROWS = [("a/1", b"one", "yes"), ("a/2", b"", "no"), ("b/1", b"three", "yes")]


def packed(folder, rows=ROWS):
    folder.mkdir()
    with collected.Packed(folder, "things.tar", "label") as store:
        for row in rows:
            store.add(*row)
    return folder


def test_what_is_packed_is_read(tmp_path):
    """Ids, labels and bytes come back in order, and a second packing gives the same bytes."""
    folder = packed(tmp_path / "one")
    found = [(row["id"], data, row["label"]) for row, data in collected.files(folder, "things.tar", "label")]
    assert found == ROWS
    again = packed(tmp_path / "two")
    for name in ("things.tar", "manifest.csv"):
        assert (folder / name).read_bytes() == (again / name).read_bytes()


def test_names_are_unique_and_sorted(tmp_path):
    """A name that is not after the last one is a fault of the source."""
    with pytest.raises(AssertionError):
        packed(tmp_path / "one", [ROWS[1], ROWS[0]])


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("things.tar", b"no tar" * 1000),
        ("manifest.csv", b"\xff\xfe"),
        ("manifest.csv", b""),
        ("manifest.csv", b"id,sha256\na/1,\n"),
        ("manifest.csv", b"id,label,sha256\na/1,yes\n"),
        ("manifest.csv", b"id,label,sha256\na/1,yes,,\n"),
        ("things.tar", TAR_OF_NONE),
    ],
)
def test_damage_is_one_line(tmp_path, name, content):
    """A damaged tar or manifest, a missing column and a missing file are errors that say how to mend it."""
    folder = packed(tmp_path / "one")
    (folder / name).write_bytes(content)
    with pytest.raises(UserError, match=f"{name}.*dvc repro --force collect"):
        list(collected.files(folder, "things.tar", "label"))


def test_a_tar_that_ends_early_is_one_line(tmp_path):
    """A tar that lacks its end is an error, not fewer files."""
    folder = packed(tmp_path / "one", [(f"{i:03}", b"x" * 5000, "yes") for i in range(20)])
    data = (folder / "things.tar").read_bytes()
    (folder / "things.tar").write_bytes(data[: len(data) // 2])
    with pytest.raises(UserError, match="dvc repro --force collect"):
        list(collected.files(folder, "things.tar"))


def test_the_folder_around_the_labels_is_found():
    """A single folder above label folders does not count, unless it is itself a label."""
    assert collected.around(["top/a/1", "top/b/1"]) == 1
    assert collected.around(["a/1", "b/1"]) == 0
    assert collected.around(["a/1", "a/2"]) == 0
    assert collected.around(["yes/ann/1", "yes/bob/1"], ("yes",)) == 0


def test_what_is_left_out_is_told(tmp_path, capsys):
    """skipped.csv has every file with its reason; the line on stderr counts them, commonest reason first."""
    skipped = {f"{i}.txt": "format .txt" for i in range(5)} | {"b\n": "hidden"}
    collected.tell_skipped(skipped, tmp_path)
    assert len((tmp_path / "skipped.csv").read_text().splitlines()) == 8  # one name has two lines
    said = capsys.readouterr().err
    assert said.startswith("files left out: 6, listed in skipped.csv: 5 format .txt (0.txt, 1.txt, 2.txt, …); 1 hidden")
    assert len(said.splitlines()) == 1


def test_nobodys_home_is_one_line():
    """A ~name that the system does not know is an error that shows it."""
    with pytest.raises(UserError, match="~nobody-at-all"):
        collected.home("~nobody-at-all/x")


def test_tar_headers_never_vary(tmp_path):
    """No time and no owner is stored."""
    with tarfile.open(packed(tmp_path / "one") / "things.tar") as tar:
        assert {(member.mtime, member.uid, member.uname) for member in tar} == {(0, 0, "")}
