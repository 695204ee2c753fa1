"""What a label may be."""

import unicodedata

import pytest

from edge.data import labels

STRANGE = ["../../x", "and/or", "a\\b", ".", "..", "", " ", " yes", "yes ", "a\0b", "a\nb", "a\ud800", "a\u202eb", "-x"]
STRANGE += ["</script><script>", "a&b", 'a"b', "=1+1", "x" * 201, "ä" * 101, "a\u200bb"]


@pytest.mark.parametrize("label", STRANGE, ids=ascii)
def test_what_is_no_label(label):
    """A path, a tag, a control character, a blank at an end, a lone surrogate or 201 bytes are refused."""
    with pytest.raises(ValueError, match=r"label|blank|begin|bytes"):
        labels.checked(label)


@pytest.mark.parametrize("label", ["yes", "_unknown_", "don't", "turn left", "0", "größer", "हिन्दी", "はい", "x" * 200])
def test_what_is_a_label(tmp_path, label):
    """Words of any script are labels, and each names a file."""
    label = unicodedata.normalize("NFC", label)
    assert labels.checked(label) == label
    (tmp_path / labels.file_name(label, ".png")).touch()


def test_one_normal_form():
    """A decomposed label, as macOS writes folder names, is the composed one."""
    assert labels.checked("gro\u0308\u00dfer") == "größer"


def test_labels_that_look_alike():
    """Labels that differ in case only are refused; a label that is there twice is not judged here."""
    assert labels.distinct(["yes", "no", "yes"]) == ["yes", "no", "yes"]
    with pytest.raises(ValueError, match="'Yes' and 'yes' differ in case only"):
        labels.distinct(["Yes", "yes"])
