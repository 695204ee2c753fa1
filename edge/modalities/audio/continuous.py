"""Continuous audio out of the prepared clips of a split, for false accepts and misses.

The stream is made of the split's own clips, so it works for every source, no voice of it was heard in training, and no
new file is needed. It is harder than a day in a living room: somebody speaks most of the time, near misses and pieces
of keywords are among what they say. The same clips come again with other neighbours, levels and backgrounds, so the
figures of an hour rest on fewer different utterances than an hour of recordings would.
"""

from collections.abc import Iterator

import numpy as np

from edge.modalities.audio.stream import Word

SCENE = 10.0  # seconds in one manner: a talk, several talks at a time, or noise
FADE = 0.02  # seconds of the cross-fade between two scenes
GAPS = (0.02, 0.3)  # shortest and longest seconds between two words of a talk
PAUSES = (0.5, 2.0)  # shortest and longest seconds of a pause, which follows every sixth word or so
LEVELS = (-30.0, -12.0)  # lowest and highest dB of full scale of a clip's loudest tenth of a second
FLOOR = (-60.0, -35.0)  # the same of the background


def without_keywords(
    unknown: np.ndarray, noise: np.ndarray, rate: int, seconds: float, rng: np.random.Generator
) -> np.ndarray:
    """A stream of other words and noise: int16 [seconds * rate].

    ``unknown`` int16 [clips, samples] are other words, ``noise`` int16 [clips, samples] has no speech; either may be
    empty. Scenes of ``SCENE`` seconds follow each other: one talk (half of them), several talks at a time (babble, a
    quarter), background alone (a quarter). Where there are no other words, all is background.
    """
    scenes = []
    size = round(SCENE * rate)
    for _ in range(-(-round(seconds * rate) // size)):
        scene = background(noise, size, rate, rng)
        kind = rng.choice(("talk", "babble", "noise"), p=(0.5, 0.25, 0.25))
        if kind != "noise" and len(unknown):
            for _ in range(1 if kind == "talk" else rng.integers(3, 7)):
                scene += talk(unknown, size, rate, rng)
        ramp = np.minimum(1, np.arange(size) / (FADE * rate))
        scenes.append(scene * ramp * ramp[::-1])
    return encode(np.concatenate(scenes)[: round(seconds * rate)])


def with_keywords(
    clips: np.ndarray, labels: np.ndarray, noise: np.ndarray, rate: int, most: float, rng: np.random.Generator
) -> tuple[np.ndarray, list[Word]]:
    """A stream of keywords in a background, int16 [samples], at most ``most`` seconds; and the words with their times.

    ``clips`` int16 [n, samples] with ``labels`` [n] come in random order, each once, 1 to 3 seconds apart, each at a
    level of its own.
    """
    pieces, words, position = [], [], 0
    for index in rng.permutation(len(clips)):
        sound = level(audible(clips[index]), rate, *LEVELS, rng)
        before, after = (rng.uniform(0.5, 1.5, 2) * rate).astype(int)
        if position + before + len(sound) + after > most * rate:
            break
        piece = background(noise, before + len(sound) + after, rate, rng)
        piece[before : before + len(sound)] += sound
        start = (position + before) / rate
        words.append(Word(int(labels[index]), start, start + len(sound) / rate))
        pieces.append(piece)
        position += len(piece)
    tail = background(noise, 2 * rate, rate, rng)  # so that the last word may be reported late
    return encode(np.concatenate([*pieces, tail])), words


def background(noise: np.ndarray, size: int, rate: int, rng: np.random.Generator) -> np.ndarray:
    """float64 [size]: one clip of ``noise`` repeated with cross-fades, or white noise without any."""
    if not len(noise):
        return level(rng.standard_normal(size), rate, *FLOOR, rng)
    clip = noise[rng.integers(len(noise))].astype(np.float64)
    if not clip.any():
        return np.zeros(size)
    fade = min(len(clip) // 4, round(0.1 * rate))
    ramp = np.minimum(1, np.minimum(np.arange(len(clip)), np.arange(len(clip))[::-1]) / fade)
    faded, step = clip * np.sqrt(ramp), len(clip) - fade
    out = np.zeros(size + 2 * len(clip))
    for start in range(0, size + step, step):
        out[start : start + len(clip)] += faded
    return level(out[fade : fade + size], rate, *FLOOR, rng)


def talk(unknown: np.ndarray, size: int, rate: int, rng: np.random.Generator) -> np.ndarray:
    """float64 [size]: clips of ``unknown`` after each other as in speech, at levels a few dB apart."""
    out = np.zeros(size)
    loudness = rng.uniform(*LEVELS)
    for start, sound in _turns(unknown, size, rate, rng):
        sound = level(sound, rate, loudness - 3, loudness + 3, rng)
        out[start : start + len(sound)] += sound[: size - start]
    return out


def _turns(unknown: np.ndarray, size: int, rate: int, rng: np.random.Generator) -> Iterator[tuple[int, np.ndarray]]:
    """Yield (start in samples, sound) until ``size`` is full."""
    position = int(rng.uniform(0, 1) * rate)
    while position < size:
        sound = audible(unknown[rng.integers(len(unknown))])
        yield position, sound
        gap = rng.uniform(*(PAUSES if rng.random() < 1 / 6 else GAPS))
        position += len(sound) + int(gap * rate)


def audible(clip: np.ndarray) -> np.ndarray:
    """A clip [samples] without the zeros that preprocess put on both sides; at least one sample."""
    heard = np.flatnonzero(clip)
    return clip[heard[0] : heard[-1] + 1] if len(heard) else clip[:1]


def level(sound: np.ndarray, rate: int, low: float, high: float, rng: np.random.Generator) -> np.ndarray:
    """[samples] whose loudest tenth of a second has a random level from ``low`` to ``high`` dB of full scale."""
    sound = sound.astype(np.float64)
    frame = min(len(sound), rate // 10)
    power = np.mean(sound[: len(sound) // frame * frame].reshape(-1, frame) ** 2, axis=1).max()
    return sound / np.sqrt(power or 1) * 10 ** (rng.uniform(low, high) / 20)


def encode(sound: np.ndarray) -> np.ndarray:
    """[samples] in -1..1 as int16."""
    return np.clip(np.round(sound * 32767), -32768, 32767).astype(np.int16)
