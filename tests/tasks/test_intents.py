"""Files of intents: what is wrong in one is named with its line; no phrasing leaks; a threshold refuses."""

import csv
import json
import re
from collections import Counter

import numpy as np
import pytest

from edge.core import paths, settings
from edge.core.errors import UserError
from edge.data import shards
from edge.modalities.text.answer import answer
from tasks.intents import SHIPPED, decision, patterns
from tasks.intents import TASK as task  # noqa: N811 - as the stages call it
from tests.imports import ROOT

CONFIG = settings.read(ROOT / paths.CONFIGS / "intents.yaml")
GREETING = '    {"tag": "greeting",\n     "patterns": ["hello", "Hi there"], "responses": ["Hello."]}'
FILE = '{"intents": [\n%s\n  ]\n}\n'  # the first intent begins in line 2
LIGHT = '    {"tag": "light", "patterns": ["light on"]}'


def collecting(**changes):
    return settings.validate(task.Collect, CONFIG["collect"] | changes, "test.yaml", "collect")


def preparing(**changes):
    return settings.validate(task.Preprocess, CONFIG["preprocess"] | changes, "test.yaml", "preprocess")


def write(folder, *intents: str):
    path = folder / "intents.json"
    path.write_text(FILE % ",\n".join(intents), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    """The shipped file, collected and prepared as the config says: (folder, spec, rows of its manifest)."""
    raw, out = tmp_path_factory.mktemp("raw"), tmp_path_factory.mktemp("prepared")
    task.sources()["shipped"](collecting(), raw, 1)
    counts = task.prepare(raw, out, preparing(), 1)
    assert not any(counts["rejected"][reason] for reason in ("no words", "contradiction"))
    with open(out / "manifest.csv", newline="") as file:
        return out, shards.load_spec(out), list(csv.DictReader(file))


def test_the_shipped_file_is_large_enough():
    """Twelve intents or more of thirty patterns or more, all with replies, and questions that have no intent."""
    content = patterns.read(SHIPPED, merge_tags=False)
    tags = set(content["intents"]) - {patterns.UNKNOWN}
    assert len(tags) >= 12 and SHIPPED.stat().st_size < 100_000
    for tag, intent in content["intents"].items():
        assert len({text for _, text in intent["patterns"]}) >= 30 and intent["responses"], tag


def test_lines_are_those_of_the_file():
    """Each pattern of the shipped file stands in the line that is told of it."""
    lines = SHIPPED.read_text().splitlines()
    for intent in patterns.read(SHIPPED, merge_tags=False)["intents"].values():
        assert all(json.dumps(text) in lines[line - 1] for line, text in intent["patterns"])


@pytest.mark.parametrize(
    ("intents", "said"),
    [
        ([GREETING, GREETING.replace("hello", "hey")], r"line 4: the tag 'greeting' is there twice: join the two"),
        (
            [GREETING, LIGHT.replace("light on", "HI there!")],
            r"line 4: HI there! is a pattern of light and of greeting",
        ),
        ([GREETING, LIGHT.replace('"light on"', "")], r"line 4: the tag 'light' has no pattern"),
        ([GREETING, '{"tag": "light"}'], r"line 4: the tag 'light' has no pattern"),
        ([GREETING, '{"patterns": ["light on"]}'], r"intent 2: it has no tag"),
        ([GREETING, LIGHT.replace('["light on"]', '"light on"')], r"line 4: the tag 'light': patterns must be a list"),
        (
            [GREETING, LIGHT.replace("light on", r"\ud800")],
            r"line 4: the tag 'light': patterns must be a list of texts",
        ),
        ([GREETING, LIGHT.replace('"light"', '"../light"')], r"line 4: the tag '../light' has '.'"),
        ([GREETING, LIGHT[:-1]], r"line 5: this is not JSON: Expecting ',' delimiter"),
        ([GREETING + ","], r"line 4: this is not JSON"),
        ([GREETING], r"its intents: there is one tag"),
        ([], r"its top: expected is"),
    ],
)
def test_what_is_wrong_is_named_with_its_line(tmp_path, intents, said):
    """A fault in a file of intents is one line with the file, the line in it and what to do."""
    path = write(tmp_path, *intents)
    with pytest.raises(UserError, match=rf"{re.escape(str(path))}, {said}"):
        task.sources()["file"](collecting(source="file", file=str(path)), tmp_path, 1)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"[1]", "its top: expected is"),
        (b"\xff\xfe{", "byte 0: this is not utf-8"),
        (b"[" * 100_000, "nested too deeply"),
        (b'{"slots": {"room": []}, "intents": [{"tag": "a"}]}', "slots: expected is"),
        (b'{"slots": {"room": ["x"]}, "intents": [{"tag": "a", "patterns": ["{roam} b"]}]}', "the slot roam is not"),
    ],
)
def test_other_files_are_one_line(tmp_path, content, said):
    """What is no file of intents at all is one line too."""
    (tmp_path / "x.json").write_bytes(content)
    with pytest.raises(UserError, match=said):
        patterns.read(tmp_path / "x.json", merge_tags=False)


def test_a_missing_file_is_one_line(tmp_path):
    """No path, and a path to nothing."""
    with pytest.raises(UserError, match=r"collect.file is empty"):
        task.sources()["file"](collecting(source="file"), tmp_path, 1)
    with pytest.raises(UserError, match=r"none.json cannot be read: No such file"):
        task.sources()["file"](collecting(source="file", file=str(tmp_path / "none.json")), tmp_path, 1)


def test_tags_are_joined_where_the_config_says_so(tmp_path):
    """With merge_tags the patterns and replies of both are one intent."""
    other = '{"tag": "greeting", "patterns": ["hey", "hello"], "responses": ["Hey."], "context": ["x"]}'
    found = patterns.read(write(tmp_path, GREETING, other, LIGHT), merge_tags=True)["intents"]
    assert [text for _, text in found["greeting"]["patterns"]] == ["hello", "Hi there", "hey", "hello"]
    assert found["greeting"]["responses"] == ["Hello.", "Hey."] and found["light"]["responses"] == []


def test_a_phrasing_is_what_is_asked_for():
    """Slots, word order and words like please do not make another phrasing; on and off do."""
    same = ["turn on the {lamp}", "Can you turn the {lamp} on, please?", "turn on the {lamp} in the {room}"]
    assert {patterns.phrasing(text) for text in same} == {"on turn"}
    assert patterns.phrasing("turn off the {lamp}") == "off turn"
    assert patterns.phrasing("are you there") != patterns.phrasing("have you") == "have you"


def test_no_phrasing_is_in_two_splits(prepared):
    """All fillings and all variants of a phrasing are in one split; held-out phrasings are there once each pattern."""
    _, _, rows = prepared
    content = patterns.read(SHIPPED, merge_tags=False)
    by_line = {line: text for intent in content["intents"].values() for line, text in intent["patterns"]}
    places: dict[str, set[str]] = {}
    counts = Counter()
    for row in rows:
        split = row["split"].replace("calibration", "train")
        places.setdefault(patterns.phrasing(by_line[int(row["line"])]), set()).add(split)
        counts[row["line"], split] += 1
    assert all(len(found) == 1 for found in places.values())
    assert {count for (_, split), count in counts.items() if split != "train"} == {1}
    assert max(counts.values()) == CONFIG["preprocess"]["variants"]


def test_a_pattern_has_different_fillings():
    """Slots are filled with different words, never more than asked for, and alike whenever they are."""
    slots = {"room": ["hall", "kitchen"], "lamp": ["lamp", "light"]}
    found = patterns.filled("the {lamp} in the {room}", slots, 10)
    assert len(set(found)) == len(found) == 4
    assert patterns.filled("the {lamp} in the {room}", slots, 3) == patterns.filled(
        "the {lamp} in the {room}", slots, 3
    )
    assert patterns.filled("hello", slots, 10) == ["hello"]


def test_replies_travel(prepared):
    """The replies of each tag are metadata of the model, and a message gets them."""
    _, spec, _ = prepared
    entries = {key: value if isinstance(value, str) else json.dumps(value) for key, value in spec.entries().items()}

    def predict(inputs):
        return np.eye(len(spec.labels), dtype=np.float32)[[spec.labels.index("light_on")]]

    assert answer("turn on the light", predict, entries) == ("light_on", ["The light is on."])
    assert answer("xyzzy", predict, entries) == ("_unknown_", ["I don't know."])


def test_the_threshold_is_chosen_on_validation(prepared):
    """It is the smallest that refuses the share of the foreign questions of val; the table is of the test split."""
    folder, spec, _ = prepared
    rng = np.random.default_rng(0)
    known = len(spec.labels) - 1

    def predict(inputs):  # never says _unknown_; how sure it is has nothing to do with the question
        scores = np.full((len(inputs), len(spec.labels)), 0.01)
        scores[:, spec.labels.index("greeting")] = rng.random(len(inputs))
        assert spec.labels.index("_unknown_") <= known
        return scores

    metadata, metrics, table = decision.decide(predict, folder, 0.8, spec)
    assert 0.7 < metadata["threshold"] < 0.9
    assert 0.6 < metrics["foreign_refused"] < 1 and 0.6 < metrics["held_out_refused"] < 0.95
    row = table[table.threshold == metadata["threshold"]].iloc[0]
    assert row.misses == metrics["held_out_refused"] and 1 - row.false_accepts == metrics["foreign_refused"]
    assert table.misses.is_monotonic_increasing and table.false_accepts.is_monotonic_decreasing


def test_sure_answers_to_foreign_questions_leave_no_threshold(prepared, capsys):
    """Where the model is sure of everything no threshold refuses enough: a warning, and the table alone."""
    folder, spec, _ = prepared
    sure = np.eye(len(spec.labels))[spec.labels.index("greeting")]
    metadata, metrics, table = decision.decide(lambda inputs: np.tile(sure, (len(inputs), 1)), folder, 0.8, spec)
    assert metadata == metrics == {} and len(table) == 101
    assert "no threshold refuses so many" in capsys.readouterr().err


def test_without_foreign_questions_there_is_no_threshold(prepared, capsys):
    """A file without the tag _unknown_ gets a line that says so."""
    folder, spec, _ = prepared
    spec = shards.Spec(spec.input, spec.output, ("a", "b"), spec.metadata)
    assert decision.decide(None, folder, 0.8, spec)[:2] == ({}, {})
    assert "no tag _unknown_" in capsys.readouterr().out
