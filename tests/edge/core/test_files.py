"""Files are whole or absent."""

import errno
import shutil

import pytest

from edge.core import files
from edge.core.errors import UserError


def test_a_failure_keeps_the_earlier_folder(tmp_path):
    """An error while a folder is written leaves the earlier one as it was, and nothing else."""
    target = tmp_path / "out"
    with files.atomic(target) as folder:
        folder.mkdir()
        (folder / "a").write_text("first")
    with pytest.raises(ValueError, match="stop"), files.atomic(target) as folder:
        folder.mkdir()
        (folder / "a").write_text("half")
        raise ValueError("stop")
    assert (target / "a").read_text() == "first"
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_success_replaces_a_folder_whole(tmp_path):
    """Files of the earlier folder do not survive in the new one."""
    target = tmp_path / "out"
    for name in ("old", "new"):
        with files.atomic(target) as folder:
            folder.mkdir()
            (folder / name).touch()
    assert [path.name for path in target.iterdir()] == ["new"]


def test_json_is_replaced_whole(tmp_path):
    """A value that JSON cannot hold leaves the earlier file."""
    path = tmp_path / "m.json"
    files.write_json(path, {"a": 1})
    with pytest.raises(TypeError):
        files.write_json(path, {"a": object()})
    assert path.read_text() == '{\n  "a": 1\n}\n'


def test_a_full_disk_names_what_was_written(tmp_path, monkeypatch):
    """A copy that finds no space names the target, although the system's error names the source or nothing."""

    def full(source, target):
        raise OSError(errno.ENOSPC, "No space left on device", str(source))

    monkeypatch.setattr(shutil, "copyfile", full)
    said = r"no space left on the disk while .*edge\.onnx was written"
    with pytest.raises(UserError, match=said), files.atomic(tmp_path / "edge.onnx") as temporary:
        shutil.copyfile(tmp_path / "model.onnx", temporary)
