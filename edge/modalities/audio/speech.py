"""Synthetic speech: words spoken by many voices of espeak-ng and flite, as wav files in memory.

Everything random is drawn before the first program starts, so the same arguments give the same bytes.
"""

import io
import itertools
import math
import os
import shutil
import subprocess
import wave
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from tqdm import tqdm

from edge.core.errors import UserError
from edge.modalities.audio import other_words

UNKNOWN, SILENCE = "_unknown_", "_silence_"
PROGRAMS = ("espeak-ng", "flite", "sox")  # their Debian packages have the same names

ACCENTS = ("en-us", "en-gb", "en-gb-scotland", "en-gb-x-rp", "en-gb-x-gbcwmd", "en-gb-x-gbclan", "en-029", "en-us-nyc")
VARIANTS = tuple(
    """adam Alex Alicia Andrea Andy Annie antonio aunty belinda benjamin boris caleb david Denis Diogo ed edward edward2
    Gene Gene2 gustave Henrique Hugo iven iven2 iven3 iven4 Jacky john kaukovalta Lee linda Marcelo Marco Mario Max
    Michael michel miguel Mike Nguyen pablo paul pedro quincy RicishayMax RicishayMax2 RicishayMax3 rob robert sandro
    shelby steph steph2 steph3 Storm travis Tweaky victor Zac anika f1 f2 f3 f4 f5 m1 m2 m3 m4 m5 m6 m7 m8 klatt klatt2
    klatt3 klatt4 klatt5 klatt6 grandma grandpa norbert""".split()  # noqa: SIM905
)
FLITE_VOICES = ("kal16", "awb", "rms", "slt")
TRACTS = ("0.84", "0.87", "0.9", "0.93", "0.97", "1.0", "1.03", "1.07", "1.11", "1.15", "1.19")

ESPEAK_RATE = 22050  # Hz, of everything espeak-ng writes
NOISES = {  # SoX synth arguments
    "white": ("whitenoise",),
    "pink": ("pinknoise",),
    "brown": ("brownnoise",),
    "hum50": ("pinknoise", "synth", "sawtooth", "mix", "50", "lowpass", "400"),
    "hum60": ("pinknoise", "synth", "sawtooth", "mix", "60", "lowpass", "400"),
}


@dataclass(frozen=True)
class Clip:
    """One utterance to make; ``speed`` and ``pitch`` are relative to the voice's own, ``room`` seeds the place.

    Only the part from ``start`` to ``end`` is kept, as shares of its length.
    """

    label: str
    text: str
    engine: str
    voice: str
    speed: float
    pitch: float
    room: int
    start: float = 0.0
    end: float = 1.0

    @property
    def speaker(self) -> str:
        return f"{self.engine}-{self.voice}"


def synthesize(
    words: Sequence[str],
    per_word: int,
    unknown_clips: int,
    silence_clips: int,
    rate: int,
    seed: int,
    unknown: Sequence[str] = other_words.WORDS,
    seconds: float = 1.0,
) -> Iterator[tuple[str, str, bytes]]:
    """Yield (label, speaker, mono 16-bit wav at ``rate`` Hz) in a fixed order.

    ``per_word`` clips of each word, label the word, the same voices for all words; ``unknown_clips`` of other texts,
    which ``other_words.choose`` makes from ``words`` and the common words ``unknown``, label ``_unknown_``;
    ``silence_clips`` of noise ``seconds`` long, label ``_silence_``. Speech is trimmed to where it is audible and set
    into a room of its own. Raises UserError when a program is missing or cannot speak a word.
    """
    for program in PROGRAMS:
        if shutil.which(program) is None:
            raise UserError(f"{program} is not installed: apt-get install {program}")
    clips = plan(words, per_word, unknown_clips, seed, unknown)
    pool = ThreadPoolExecutor(os.cpu_count())
    try:
        spoken = pool.map(lambda clip: encode(record(speak(clip, rate), rate, clip.room), rate), clips)
        for clip, wav in tqdm(zip(clips, spoken, strict=True), "speaking", len(clips), unit="clip"):
            yield clip.label, clip.speaker, wav
    finally:
        pool.shutdown(cancel_futures=True)
    yield from silences(silence_clips, rate, seed, seconds)


def plan(words: Sequence[str], per_word: int, unknown_clips: int, seed: int, unknown: Sequence[str]) -> list[Clip]:
    """What to say, in whose voice: the i-th clip of every word has the same voice, all else is drawn anew."""
    rng = np.random.default_rng(seed)
    others = other_words.choose(words, unknown_clips, unknown, np.random.default_rng([seed, 3]))
    texts = [(word, other_words.Text(word), i) for word in words for i in range(per_word)]
    texts += [(UNKNOWN, text, i) for i, text in enumerate(others)]
    voices = cast(per_word, rng)
    manners = np.exp2(rng.uniform((-0.5, -0.35), (0.5, 0.35), (len(texts), 2))).tolist()
    rooms = rng.integers(2**32, size=len(texts)).tolist()
    return [
        Clip(label, said.text, *voices[i % per_word], *manner, room, said.start, said.end)
        for (label, said, i), manner, room in zip(texts, manners, rooms, strict=True)
    ]


def cast(count: int, rng: np.random.Generator) -> list[tuple[str, str]]:
    """``count`` voices (engine, voice), espeak-ng and flite in turn, each in random order until all have spoken.

    espeak-ng has many voices of one make, flite few that were recorded from people: a model needs both.
    """
    espeaks = rng.permutation([f"{accent}+{variant}" for accent in ACCENTS for variant in VARIANTS]).tolist()
    flites = rng.permutation([f"{voice}*{tract}" for voice in FLITE_VOICES for tract in TRACTS]).tolist()
    pairs = zip(itertools.cycle(espeaks), itertools.cycle(flites), strict=False)
    turns = itertools.chain.from_iterable((("espeak", one), ("flite", other)) for one, other in pairs)
    return list(itertools.islice(turns, count))


def speak(clip: Clip, rate: int) -> np.ndarray:
    """One utterance, float64 [samples] in -1..1 at ``rate`` Hz, trimmed; raises UserError when nothing is heard."""
    made, samples = espeak(clip) if clip.engine == "espeak" else flite(clip)
    samples = trim(resample(samples, made, rate), rate)
    if len(samples) == 0:
        raise UserError(f"{clip.engine} cannot speak {clip.text!r}: write it the way it sounds in English letters")
    return piece(samples, clip.start, clip.end, rate)


def piece(samples: np.ndarray, start: float, end: float, rate: int) -> np.ndarray:
    """The part from ``start`` to ``end`` (shares of the length) of [samples], faded over 10 ms where it was cut.

    It is at least 0.1 s long, so that it is not all of it the quiet before or after a short word.
    """
    if (start, end) == (0, 1):
        return samples
    first, last = round(start * len(samples)), round(end * len(samples))
    missing = max(0, rate // 10 - (last - first))
    kept = samples[max(0, first - missing) : last] if start > 0 else samples[first : last + missing]
    kept = kept.copy()
    fade = np.linspace(0, 1, min(rate // 100, len(kept)))
    if start > 0:
        kept[: len(fade)] *= fade
    if end < 1:
        kept[len(kept) - len(fade) :] *= fade[::-1]
    return kept


def espeak(clip: Clip) -> tuple[int, np.ndarray]:
    """(rate, samples) by espeak-ng."""
    words_per_minute, pitch = round(175 * clip.speed), round(50 + 100 * math.log2(clip.pitch))  # its own: 175 and 50
    options = ["-v", clip.voice, "-s", str(words_per_minute), "-p", str(pitch)]
    wav = execute(["espeak-ng", *options, "-z", "--stdin", "--stdout"], clip.text)
    return ESPEAK_RATE, pcm(wav[44:])


def flite(clip: Clip) -> tuple[int, np.ndarray]:
    """(rate, samples) by flite.

    A voice with ``*tract`` is played so many times as fast, as if its speaker's vocal tract were so much shorter; speed
    and pitch are asked for such that they come out as they should.
    """
    voice, tract = clip.voice.split("*")
    features = {"duration_stretch": float(tract) / clip.speed, "f0_shift": clip.pitch / float(tract)}
    options = [part for name, value in features.items() for part in ("--setf", f"{name}={value:.3f}")]
    wav = execute(["flite", "-voice", voice, *options, "-t", clip.text, "-o", "/dev/stdout"])
    return round(int.from_bytes(wav[24:28], "little") * float(tract)), pcm(wav[44:])


def record(samples: np.ndarray, rate: int, seed: int) -> np.ndarray:
    """The utterance as a microphone in some room gave it, as loud as before: float64 [up to 0.1 s more samples].

    Tone, band limits, echo and noise are drawn with ``seed``.
    """
    rng = np.random.default_rng(seed)
    samples = np.pad(samples, rng.integers(0, rate // 20, 2))
    size = len(samples) + rate // 2  # half a second for the echo to fade, so that it does not come round
    frequency = 20 + np.fft.rfftfreq(size, 1 / rate)
    knots = np.geomspace(50, rate / 2, 7)
    decibels = rng.normal(0, 4, 7) + rng.normal(0, 5) * np.linspace(-1, 1, 7)
    gain = 10 ** (np.interp(np.log(frequency), np.log(knots), decibels) / 20)
    if rng.random() < 0.4:  # a small microphone
        gain *= np.minimum(1, frequency / rng.uniform(80, 350)) ** 2
    if rng.random() < 0.4:  # a telephone
        gain *= np.minimum(1, rng.uniform(2200, max(4000, rate / 2)) / frequency) ** 6
    if rng.random() < 0.5:  # walls
        time, fading = np.arange(rate * 2 // 5) / rate, rng.uniform(0.08, 0.5)  # seconds until -60 dB
        echo = rng.standard_normal(len(time)) * 10 ** (-3 * time / fading)
        echo *= rng.uniform(0.05, 0.7) / np.linalg.norm(echo)
        echo[0] = 1
        gain = gain * np.fft.rfft(echo, size)
    heard = np.fft.irfft(np.fft.rfft(samples, size) * gain, size)[: len(samples)]
    if rng.random() < 0.8:
        colour = (20 + np.fft.rfftfreq(len(heard), 1 / rate)) ** -rng.uniform(0, 1.2)
        noise = np.fft.irfft(np.fft.rfft(rng.standard_normal(len(heard))) * colour, len(heard))
        heard += noise * np.std(heard) / np.std(noise) * 10 ** (-rng.uniform(10, 45) / 20)  # 10 to 45 dB below speech
    heard *= np.std(samples) / np.std(heard)
    return heard / max(1, np.abs(heard).max())


def silences(count: int, rate: int, seed: int, seconds: float) -> Iterator[tuple[str, str, bytes]]:
    """``count`` clips of SoX noise, kinds in turn, each at a level of its own between -70 and -20 dB of full scale."""
    rng = np.random.default_rng([seed, 1])
    size = round(rate * seconds)
    each = -(-count // len(NOISES))
    pieces = {}
    for kind, arguments in NOISES.items():
        start = float(rng.uniform(0, 60))  # SoX's own noise is always the same: begin somewhere else
        length = ["synth", f"{start + (each + 1) * seconds:.3f}", *arguments, "trim", f"{start:.3f}"]
        raw = execute(["sox", "-R", "-n", "-D", "-r", str(rate), "-b", "16", "-c", "1", "-t", "raw", "-", *length])
        pieces[kind] = pcm(raw)
    for i in range(count):
        kind = list(NOISES)[i % len(NOISES)]
        piece = pieces[kind][i // len(NOISES) * size :][:size]
        level = 10 ** (rng.uniform(-70, -20) / 20)
        yield SILENCE, f"sox-{kind}-{i // len(NOISES)}", encode(piece / np.sqrt(np.mean(piece**2)) * level, rate)


def execute(command: list[str], text: str = "") -> bytes:
    """Standard output of a program given ``text`` on standard input; raises UserError if it fails."""
    done = subprocess.run(command, input=text.encode(), capture_output=True, check=False)
    if done.returncode:
        raise UserError(f"{' '.join(command)} failed: {done.stderr.decode(errors='replace')}")
    return done.stdout


def pcm(data: bytes) -> np.ndarray:
    """16-bit little-endian samples as float64 in -1..1."""
    return np.frombuffer(data[: len(data) // 2 * 2], "<i2") / 32768


def encode(samples: np.ndarray, rate: int) -> bytes:
    """float [samples] in -1..1 as a mono 16-bit wav file."""
    file = io.BytesIO()
    with wave.open(file, "wb") as out:
        out.setparams((1, 2, rate, 0, "NONE", ""))
        out.writeframes(np.clip(np.round(samples * 32767), -32768, 32767).astype("<i2").tobytes())
    return file.getvalue()


def resample(samples: np.ndarray, old: int, new: int) -> np.ndarray:
    """Change the rate by cutting or extending the spectrum, after padding to a whole number of new samples."""
    padded = np.pad(samples, (0, old // 50))
    count = round(len(padded) * new / old)
    return np.fft.irfft(np.fft.rfft(padded)[: count // 2 + 1], count) * (count / len(padded))


def trim(samples: np.ndarray, rate: int) -> np.ndarray:
    """Cut leading and trailing parts 40 dB below the loudest 10 ms, leaving 20 ms of them; empty if all is silent."""
    frame = rate // 100
    frames = samples[: len(samples) // frame * frame].reshape(-1, frame)
    power = np.mean(frames**2, axis=1) if len(frames) else np.zeros(1)
    if power.max() < 1e-6:
        return samples[:0]
    heard = np.flatnonzero(power > power.max() * 1e-4)
    return samples[max(0, heard[0] - 2) * frame : (heard[-1] + 3) * frame]
