"""Files of intents: {"intents": [{"tag", "patterns", "responses"}, …], "slots": {name: [words, …]}}, slots optional."""

import bisect
import json
import math
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from edge.core.errors import UserError
from edge.data.labels import checked, distinct
from edge.data.shards import share
from edge.data.splits import split_of
from edge.modalities.text.lines import Text
from edge.modalities.text.words import WORD, tokens

UNKNOWN = "_unknown_"  # the tag of questions that no intent answers
LARGEST = 10**7  # bytes of a file of intents
HALF = re.compile("[\ud800-\udfff]")
SLOT = re.compile(r"\{(\w+)\}")
# Words that say how a thing is asked for and not what: patterns that differ in nothing else are one phrasing.
FUNCTION = """a all an and are at be can could do for have i in is it me my now of our please so some that the this to
too us very want we will with would you your"""


class Located(str):
    """A string of a JSON file that knows its line."""

    line = 0


def read(path: Path, merge_tags: bool) -> dict:
    """The intents of a file: {"intents": {tag: {"patterns": [[line, text], …], "responses": […]}}, "slots": {…}}.

    Raises UserError with file and line for what is no such file, a tag that is there twice (unless ``merge_tags``), a
    pattern that two tags have, and an intent without a pattern.
    """
    try:
        if path.stat().st_size > LARGEST:
            raise UserError(f"{path} has more than {LARGEST} bytes: this is no file of intents")
        content = parse(path.read_bytes().decode("utf-8-sig"))
    except json.JSONDecodeError as error:
        raise UserError(f"{path}, line {error.lineno}: this is not JSON: {error.msg}") from None
    except UnicodeDecodeError as error:
        raise UserError(f"{path}, byte {error.start}: this is not utf-8: save the file as utf-8") from None
    except RecursionError:
        raise UserError(f"{path}: it is nested too deeply: this is no file of intents") from None
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}: correct collect.file") from None
    try:
        return checked_intents(content, merge_tags)
    except ValueError as error:
        raise UserError(f"{path}, {error}") from None


def parse(text: str) -> object:
    """``json.loads`` whose strings, other than keys, are Located."""
    ends = [match.end() for match in re.finditer("\n", text)]

    def parse_string(source: str, end: int, strict: bool = True) -> tuple[Located, int]:
        value, after = json.decoder.scanstring(source, end, strict)
        located = Located(value)
        located.line = bisect.bisect_right(ends, end - 1) + 1
        return located, after

    decoder = json.JSONDecoder()
    decoder.parse_string = parse_string
    decoder.scan_once = json.scanner.py_make_scanner(decoder)
    return decoder.decode(text)


def checked_intents(content: object, merge_tags: bool) -> dict:
    """What ``read`` returns; raises ValueError that begins with a line or a place."""
    if not isinstance(content, dict) or not isinstance(content.get("intents"), list) or not content["intents"]:
        raise ValueError('its top: expected is {"intents": [{"tag": …, "patterns": […], "responses": […]}, …]}')
    slots = content.get("slots", {})
    if not isinstance(slots, dict) or not all(_texts(words) and words for words in slots.values()):
        raise ValueError('slots: expected is {"name": ["words", …], …}')
    found: dict[str, dict] = {}
    owner: dict[str, str] = {}
    for number, intent in enumerate(content["intents"], 1):
        if not isinstance(intent, dict) or not isinstance(intent.get("tag"), str):
            raise ValueError(f"intent {number}: it has no tag: each intent has tag, patterns and responses")
        tag = intent["tag"]
        where = f"line {tag.line}: the tag {str(tag)!r}"
        for key in ("patterns", "responses"):
            if not _texts(intent.get(key, [])):
                raise ValueError(f"{where}: {key} must be a list of texts")
        if not intent.get("patterns"):
            raise ValueError(f"{where} has no pattern: write some, or take the intent out")
        try:
            name = checked(tag)
        except ValueError as error:
            raise ValueError(f"line {tag.line}: the tag {error}") from None
        if name in found and not merge_tags:
            raise ValueError(f"{where} is there twice: join the two, or set collect.merge_tags to true")
        entry = found.setdefault(name, {"patterns": [], "responses": []})
        entry["responses"] += map(str, intent.get("responses", []))
        for pattern in intent["patterns"]:
            key = spelled(pattern)
            if owner.setdefault(key, name) != name:
                raise ValueError(
                    f"line {pattern.line}: {pattern!s} is a pattern of {name} and of {owner[key]}: keep one"
                )
            unknown = [slot for slot in SLOT.findall(pattern) if slots and slot not in slots]
            if unknown:
                raise ValueError(f"line {pattern.line}: the slot {unknown[0]} is not among slots: {', '.join(slots)}")
            entry["patterns"].append([pattern.line, str(pattern)])
    distinct(found)
    if len(found) < 2:
        raise ValueError("its intents: there is one tag, a classifier needs two or more")
    return {"intents": found, "slots": slots}


def _texts(value: object) -> bool:
    """Is it a list of texts? JSON can write half a character (a lone surrogate), which no file can hold."""
    return isinstance(value, list) and all(isinstance(entry, str) and not HALF.search(entry) for entry in value)


def spelled(pattern: str) -> str:
    """A pattern by its words alone; a slot is the word of its name."""
    return " ".join(tokens(pattern, re.compile(WORD)))


def phrasing(pattern: str) -> str:
    """The group of a pattern: the words that say what is asked for, in the order of the alphabet, without its slots.

    "Can you turn the {lamp} on?" and "turn on the {lamp} in the {room}" are one phrasing, "on turn".
    """
    found = set(tokens(SLOT.sub(" ", pattern), re.compile(WORD)))
    return " ".join(sorted(found - set(FUNCTION.split())) or sorted(found))


def texts(content: dict, file: str, config) -> Iterator[Text]:
    """The examples of a file of intents: in training each pattern with up to ``config.variants`` fillings of its slots.

    A phrasing that is held out counts once, with one filling. No phrasing is in two splits.
    """
    for tag, intent in content["intents"].items():
        for line, pattern in intent["patterns"]:
            group = phrasing(pattern)
            held_out = split_of(group, group, config, config.fold) in ("val", "test")
            for text in filled(pattern, content["slots"], 1 if held_out else config.variants):
                yield Text(file, line, tag, text, group=group or pattern)


def filled(pattern: str, slots: dict[str, list[str]], most: int) -> list[str]:
    """``pattern`` with up to ``most`` different fillings of its slots, which follow from its own text alone."""
    names = [name for name in SLOT.findall(pattern) if name in slots]
    total = math.prod(len(slots[name]) for name in names)
    rng = np.random.default_rng(int(share(pattern, "slots") * 2**32))
    found = []
    for number in rng.choice(total, min(most, total), replace=False):
        text = pattern
        for name in names:
            number, chosen = divmod(int(number), len(slots[name]))
            text = text.replace(f"{{{name}}}", slots[name][chosen], 1)
        found.append(text)
    return list(dict.fromkeys(found))
