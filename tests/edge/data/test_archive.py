"""Archives and folders, good and bad."""

import bz2
import gzip
import io
import lzma
import tarfile
import zipfile

import numpy as np
import pytest

from edge.core.errors import UserError
from edge.data.archive import members

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
