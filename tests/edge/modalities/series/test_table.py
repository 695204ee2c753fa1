"""What people's csv files hold: each fault is named with its line and column, and the rest is read."""

import csv

import numpy as np
import pytest

from edge.core.errors import UserError
from edge.data.rejected import Rejected
from edge.modalities.series.table import Layout, load_layout, read

LAYOUT = Layout(time="t", seconds=0.001, sensors=[["x", "y"]], label="label", group=None)
PLAIN = LAYOUT.model_copy(update={"time": None, "label": None})


def reading(folder, content, layout=LAYOUT, step=1.0):
    """(recordings, rows of rejected.csv) of a file with this content."""
    (folder / "a.csv").write_bytes(content if isinstance(content, bytes) else content.encode())
    with Rejected(folder) as rejected:
        found = list(read(folder / "a.csv", "anna/a.csv", layout, step, rejected))
    return found, list(csv.DictReader((folder / "rejected.csv").open()))


def test_a_plain_file_is_read(tmp_path):
    """Stamps in the unit of the layout, values in its order whatever the file's, a label a row."""
    (found,), rejected = reading(tmp_path, "label,y,x,t\nwalk,1,2,1000\nsit,3,4,1040\n")
    assert found.stamps.tolist() == [1.0, 1.04]
    assert found.values.tolist() == [[2, 1], [4, 3]]
    assert found.labels == ["walk", "sit"] and not rejected


@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
@pytest.mark.parametrize("text", ["t;x;y;label\r\n0;1,5;2;walk\r\n", "t,x,y,label\n0,1.5,2,walk\n"])
def test_separator_and_byte_order_mark(tmp_path, mark, text):
    """A semicolon with decimal commas, as spreadsheets write it, and a byte order mark change nothing."""
    (found,), rejected = reading(tmp_path, mark + text.encode())
    assert found.values.tolist() == [[1.5, 2]] and not rejected


@pytest.mark.parametrize("text", ["seven", "nan", "inf", "", "1e400", "0x10"])
def test_what_is_no_number_is_rejected_by_line_and_column(tmp_path, text):
    """The row goes, with line and column in the report; the rows around it stay."""
    (found,), rejected = reading(tmp_path, f"t,x,y,label\n0,1,2,walk\n1,1,{text},walk\n2,1,2,walk\n")
    assert found.stamps.tolist() == [0, 0.002]
    assert rejected == [{"file": "anna/a.csv", "line": "3", "reason": "not a number", "detail": f"column y: {text!r}"}]


def test_a_row_of_other_length_and_a_strange_label_are_rejected(tmp_path):
    """Too few fields and a label that could not name a file are named by line."""
    (found,), rejected = reading(tmp_path, "t,x,y,label\n0,1,2,walk\n1,1\n2,1,2,../up\n3,1,2,\n")
    assert len(found.labels) == 1
    assert [(row["line"], row["reason"]) for row in rejected] == [
        ("3", "wrong number of fields"),
        ("4", "unusable label"),
        ("5", "unusable label"),
    ]


@pytest.mark.parametrize("header", ["time,x,y,label", "", "t,x,x,y,label"])
def test_a_wrong_header_lists_the_columns(tmp_path, header):
    """A missing or doubled column is one line that says which there are."""
    with pytest.raises(UserError, match=r"anna/a.csv has (no|more than one) column (t|x): its columns are") as error:
        reading(tmp_path, f"{header}\n1,2,3,walk\n")
    assert ", ".join(header.split(",")) in str(error.value) or "none" in str(error.value)


@pytest.mark.parametrize("content", [b"t,x,y,label\n0,1,2,w\xe4lk\n", b't,x,y,label\n0,1,2,"walk\n' * 2])
def test_what_is_no_text_is_rejected(tmp_path, content):
    """Another encoding and an open quote reject the file, not the run."""
    found, rejected = reading(tmp_path, content)
    assert not found and rejected[0]["reason"] == "unreadable"


def test_without_a_column_of_time_a_rejected_row_leaves_a_gap(tmp_path):
    """Rows are a step apart, and the step of the row that is left out stays empty."""
    (found,), _ = reading(tmp_path, "x,y\n1,1\nx,1\n2,2\n", PLAIN, step=0.5)
    assert np.diff(found.stamps).tolist() == [1.0]


def test_a_group_or_a_label_begins_a_recording(tmp_path):
    """Rows of one person and label that follow each other are one recording; its rows are a step apart."""
    layout = PLAIN.model_copy(update={"label": "label", "group": "who"})
    text = "x,y,label,who\n1,1,sit,a\n2,2,sit,a\n3,3,walk,a\n4,4,walk,b\n5,5,sit,a\n"
    found, _ = reading(tmp_path, text, layout)
    assert [(one.group, one.labels[0], len(one.stamps)) for one in found] == [
        ("a", "sit", 2),
        ("a", "walk", 1),
        ("b", "walk", 1),
        ("a", "sit", 1),
    ]
    assert np.diff(found[0].stamps).tolist() == [1.0]


def test_the_layout_comes_back(tmp_path):
    """layout.json is what was saved; a damaged one is one line."""
    LAYOUT.save(tmp_path)
    assert load_layout(tmp_path) == LAYOUT
    (tmp_path / "layout.json").write_text('{"time": 3}')
    with pytest.raises(UserError, match=r"layout.json: time = 3"):
        load_layout(tmp_path)
