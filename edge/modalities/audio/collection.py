"""Where spoken clips come from: each source fills a folder with clips.tar, manifest.csv, skipped.csv and labels.json.

``clips.tar`` holds the clips as they came, under their id, sorted, with headers that never vary; ``manifest.csv`` has a
row a clip (id, label, speaker, source, seconds, sha256) in the same order; ``skipped.csv`` has a row for each file that
was left out (file, reason); ``labels.json`` lists the words in order.
"""

import functools
import hashlib
import json
import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import numpy as np
from tqdm import tqdm

from edge.core.errors import UserError
from edge.data import archive, collected, fetch, labels
from edge.modalities.audio import phone, sox, speech
from edge.modalities.audio.speech import SILENCE, UNKNOWN

DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
FSDD = (  # CC BY-SA 4.0
    "https://github.com/Jakobovski/free-spoken-digit-dataset/archive/26eb9aaf76e81b692f806f9140c2d2777410d7a1.tar.gz",
    "157832b6dcd1aa2ef349dc56102012c0939455d8f2f0b7582613d253a511ce4d",
    "free-spoken-digit-dataset-26eb9aaf.tar.gz",
)
SPEECH_COMMANDS = {  # CC BY 4.0; mini is a part of full's test set
    "full": (
        "https://download.tensorflow.org/data/speech_commands_v0.02.tar.gz",
        "af14739ee7dc311471de98f5f9d2c9191b18aedfe957f4a6ff791c709868ff58",
        "speech_commands_v0.02.tar.gz",
    ),
    "mini": (
        None,
        "cd7f090d177e3abe4bfca6c2c77ada1e8f0c1a1a42e39b9798a78a366640a12a",
        "speech_commands_mini.tar.gz",
    ),
}
NOISE = "_background_noise_"
BLOCK = 8  # seconds of background noise that count as one speaker, so that neighbouring clips share a split

FSDD_NAME = re.compile(r"/recordings/(?P<digit>\d)_(?P<speaker>[a-z]+)_\d+\.wav$")
SPEECH_COMMANDS_NAME = re.compile(
    r"(?:^|/)(?P<folder>\w+)/(?:(?:(?P<word>[a-z]+)_)?(?P<speaker>[0-9a-f]{8})_nohash_)?\w+\.wav(?:\.wav)?$"
)


class Clip(NamedTuple):
    """A clip that could be collected: ``name`` is its file; ``cut`` (start in samples, level) makes it a part of it."""

    id: str
    label: str
    speaker: str
    name: str
    cut: tuple[int, float] | None = None


def synthetic(cfg, out: Path, seed: int) -> None:
    """Words spoken by espeak-ng and flite, noise by SoX."""
    if not cfg.words:
        raise UserError("collect.words is empty: list the words that source synthetic shall speak")
    spoken = speech.synthesize(
        cfg.words,
        cfg.synthetic.per_word,
        cfg.unknown,
        cfg.silence,
        cfg.synthetic.rate,
        seed,
        seconds=cfg.silence_seconds,
    )
    rows = ((f"{i:06}-{label}.wav", label, speaker, wav) for i, (label, speaker, wav) in enumerate(spoken))
    store(out, "synthetic", cfg.words, rows)


def fsdd(cfg, out: Path, seed: int) -> None:
    """Free Spoken Digit Dataset: six people say the digits, 8 kHz; digits that are not among the words are unknown."""
    words = cfg.words or DIGITS

    def describe(name: str) -> tuple[str, str] | None:
        match = FSDD_NAME.search(name)
        return match and (label_of(DIGITS[int(match["digit"])], words), match["speaker"])

    packed = _fetched(*FSDD)
    with archive.members(packed, lambda name: describe(name) is not None, cfg.limits.unpacked) as members:
        clips = [Clip(_id(name), *describe(name), name) for name in members.names]
        collect(cfg, out, seed, "fsdd", words, clips, members)


def speech_commands(cfg, out: Path, seed: int) -> None:
    """Speech Commands v0.02, all of it or the mini part; other words are unknown, background noise becomes silence."""
    packed = _fetched(*SPEECH_COMMANDS[cfg.speech_commands])
    with archive.members(packed, SPEECH_COMMANDS_NAME.search, cfg.limits.unpacked) as members:
        matches = {name: SPEECH_COMMANDS_NAME.search(name) for name in members.names}
        words = cfg.words or sorted({m["folder"] for m in matches.values() if not m["folder"].startswith("_")})
        clips, noises = [], []
        for name, match in matches.items():
            if match["folder"] == NOISE:
                noises.append(name)
            elif match["folder"] == SILENCE:
                clips.append(Clip(_id(name), SILENCE, "", name))
            else:
                clips.append(
                    Clip(_id(name), label_of(match["word"] or match["folder"], words), match["speaker"] or "", name)
                )
        clips += cut_noise(noises, members.read, cfg.silence, cfg.silence_seconds, seed)
        collect(cfg, out, seed, f"speech_commands_{cfg.speech_commands}", words, clips, members)


def directory(cfg, out: Path, seed: int) -> None:
    """One's own recordings: a tree label/file or label/speaker/file, or an archive of one.

    A single folder around the labels, as archives have, does not count. Every file that is not taken is listed with its
    reason. Raises UserError for a label that could not name a file, and where a word has no clip.
    """
    if cfg.directory.path is None:
        raise UserError("collect.directory.path is empty: name the folder or archive of source directory")
    path = collected.home(cfg.directory.path)
    unread: dict[str, str] = {}
    with archive.members(path, functools.partial(_is_sound, unread=unread), cfg.limits.unpacked) as members:
        members.skipped.update(unread)
        around = collected.around(members.names, (*(cfg.words or ()), UNKNOWN, SILENCE))
        found, clips = set(), []
        for name in members.names:
            label, speaker, reason = _place(PurePosixPath(name).parts[around:], cfg.words)
            if reason:
                members.skipped[name] = reason
                continue
            found.add(label)
            if cfg.directory.speaker:
                speaker = _speaker(cfg.directory.speaker, name, label)
            clips.append(Clip(name, label, speaker, name))
        words = cfg.words or sorted(found - {UNKNOWN, SILENCE})
        try:
            labels.distinct(words)
        except ValueError as error:
            raise UserError(f"a label folder in {path}: {error}") from None
        collect(cfg, out, seed, "directory", words, clips, members)


def _is_sound(name: str, unread: dict[str, str]) -> bool:
    """Does the file's suffix say that it can be read? Where not, the reason goes into ``unread``."""
    from sox.core import VALID_FORMATS

    suffix = PurePosixPath(name).suffix.lower()
    if suffix.removeprefix(".") in (*VALID_FORMATS, *phone.SUFFIXES):
        return True
    unread[name] = f"format {suffix} is not read: convert sound to wav" if suffix else "a name without a suffix"
    return False


def _place(parts: tuple[str, ...], words: Iterable[str] | None) -> tuple[str, str, str]:
    """(label, speaker or '', '' or the reason to leave the file out) by the folders that a file is in."""
    if len(parts) < 2:
        return "", "", "in no label folder"
    if len(parts) > 3:
        return "", "", "deeper than label/speaker/file"
    label = _composed(parts[0])
    if words and label not in (*words, UNKNOWN, SILENCE):
        return "", "", f"folder {label!r} is not among collect.words"
    return label, _composed(parts[1]) if len(parts) == 3 else "", ""


def _composed(name: str) -> str:
    """A folder's name in Unicode's composed form, in which settings are read too."""
    return unicodedata.normalize("NFC", name)


def _speaker(pattern: str, name: str, label: str) -> str:
    """Who speaks, by the file name; '' for silence of nobody. Raises UserError where the pattern finds nobody."""
    match = re.search(pattern, PurePosixPath(name).name)
    if match:
        return _composed(match["speaker"] or "")
    if label == SILENCE:
        return ""
    raise UserError(f"collect.directory.speaker finds no speaker in {name}: mend the pattern or the name")


def label_of(word: str, words: Iterable[str]) -> str:
    """The word itself where it is a keyword, else unknown."""
    return word if word in words else UNKNOWN


def cut_noise(names: list[str], read: Callable, count: int, seconds: float, seed: int) -> list[Clip]:
    """``count`` clips of ``seconds`` out of long wav files of noise, spread evenly, each at a level of its own."""
    rng = np.random.default_rng([seed, 2])
    blocks = []
    for name in names:
        pcm = sox.read(read(name), ".wav")
        size, length = round(seconds * pcm.rate), max(BLOCK * pcm.rate, round(seconds * pcm.rate))
        starts = range(0, pcm.frames - size + 1, length)
        blocks += [(name, start, min(start + length, pcm.frames) - size) for start in starts]
    clips = []
    for number in range(count if blocks else 0):
        name, first, last = blocks[number % len(blocks)]
        start = int(rng.integers(first, last + 1))
        stem = PurePosixPath(name).stem
        cut = (start, float(rng.uniform(0.05, 1)))
        clips.append(Clip(f"{NOISE}/{stem}-{number:05}.wav", SILENCE, f"{stem}-{first}", name, cut))
    return clips


def collect(
    cfg, out: Path, seed: int, source: str, words: Iterable[str], clips: list[Clip], members: archive.Members
) -> None:
    """Store ``clips``, at most ``cfg.unknown`` unknown and ``cfg.silence`` silent ones, chosen by a hash of the id."""
    read = members.read
    for key, label, most in (("unknown", UNKNOWN, cfg.unknown), ("silence", SILENCE, cfg.silence)):
        ranked = sorted((_sha256(f"{seed}:{clip.id}".encode()), clip.id) for clip in clips if clip.label == label)
        spare = {name for _, name in ranked[most:]}
        members.skipped.update(dict.fromkeys(spare, f"more than collect.{key} = {most}"))
        clips = [clip for clip in clips if clip.label != label or clip.id not in spare]
    clips.sort()

    @functools.lru_cache(1)
    def noise(name: str) -> sox.Pcm:
        return sox.read(read(name), ".wav")

    def data(clip: Clip) -> bytes:
        if clip.cut is None:
            return read(clip.name)
        pcm = noise(clip.name)
        start, level = clip.cut
        part = pcm.samples()[:: pcm.channels][start : start + round(cfg.silence_seconds * pcm.rate)]
        return speech.encode(part * level / 32768, pcm.rate)

    def rows() -> Iterator[tuple[str, str, str, bytes]]:
        for clip in tqdm(clips, "collecting", unit="clip"):
            yield clip.id, clip.label, clip.speaker, data(clip)

    store(out, source, words, rows(), members.skipped)


def store(
    out: Path,
    source: str,
    words: Iterable[str],
    rows: Iterable[tuple[str, str, str, bytes]],
    skipped: dict[str, str] | None = None,
) -> None:
    """Write rows (id, label, speaker, file bytes), sorted by id, and the files that were ``skipped`` with the reasons.

    Raises UserError where a word has no clip.
    """
    collected.tell_skipped(skipped or {}, out)
    counts = Counter()
    with collected.Packed(out, "clips.tar", "label", "speaker", "source", "seconds") as packed:
        for name, label, speaker, data in rows:
            try:
                seconds = f"{sox.read(data, PurePosixPath(name).suffix).seconds:.4f}"
            except sox.Unreadable:
                seconds = ""
            packed.add(name, data, label, speaker, source, seconds)
            counts[label] += 1
    missing = [word for word in words if not counts[word]]
    if missing or not counts:
        what = f"no clip of {', '.join(missing)}" if missing else "no clips"
        left_out = f" (left out: {collected.summary(skipped)})" if skipped else ""
        raise UserError(f"source {source} has {what}{left_out}: change collect.words or the source in the config")
    (out / "labels.json").write_text(json.dumps(list(words)) + "\n", encoding="utf-8")


def _fetched(url: str | None, sha256: str, name: str) -> Path:
    return fetch.fetch(url, sha256, fetch.cache() / name)


def _id(name: str) -> str:
    """Folder and file: what an archive's top folder is called does not matter."""
    return "/".join(PurePosixPath(name).parts[-2:])


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


SOURCES = {source.__name__: source for source in (synthetic, fsdd, speech_commands, directory)}
