"""Synthetic speech: the same bytes for the same seed, every voice for every word, one-line errors."""

import io
import wave
from collections import defaultdict

import numpy as np
import pytest

from edge.core.errors import UserError
from edge.modalities.audio.speech import SILENCE, UNKNOWN, record, synthesize

RATE = 16000


def make(words=("yes", "turn on the light"), per_word=8, unknown_clips=6, silence_clips=10, seed=1, **others):
    """A few clips: list of (label, speaker, wav)."""
    return list(synthesize(words, per_word, unknown_clips, silence_clips, RATE, seed, **others))


def samples(wav: bytes) -> np.ndarray:
    """The samples of a wav file, after checking that it is mono, 16 bits and at the rate asked for."""
    with wave.open(io.BytesIO(wav)) as file:
        assert (file.getnchannels(), file.getsampwidth(), file.getframerate()) == (1, 2, RATE)
        return np.frombuffer(file.readframes(file.getnframes()), "<i2") / 32768


@pytest.fixture(scope="module")
def clips():
    return make()


def test_same_seed_same_bytes(clips):
    """The same arguments give the same clips, byte for byte and in the same order."""
    assert make() == clips


def test_other_seed_other_clips(clips):
    """Another seed speaks and makes noise differently: no clip is repeated."""
    assert not {wav for *_, wav in clips} & {wav for *_, wav in make(seed=2)}


def test_every_word_has_every_voice(clips):
    """All words are spoken by the same voices, so that a voice never gives a word away."""
    voices = defaultdict(list)
    for label, speaker, _ in clips:
        voices[label].append(speaker)
    assert voices["yes"] == voices["turn on the light"]
    assert voices["yes"][:6] == voices[UNKNOWN]
    assert {speaker.split("-")[0] for speaker in voices["yes"]} == {"espeak", "flite"}


def test_counts_and_labels(clips):
    """As many clips of each label as were asked for, all of them different."""
    labels = [label for label, *_ in clips]
    assert {label: labels.count(label) for label in labels} == {
        "yes": 8,
        "turn on the light": 8,
        UNKNOWN: 6,
        SILENCE: 10,
    }
    assert len({wav for *_, wav in clips}) == len(clips)


def test_speech_is_loud_and_short(clips):
    """A clip of one word is about as long as the word, other words may be a phrase; both are louder than silence."""
    for label, speaker, wav in clips:
        if label in ("yes", UNKNOWN):
            sound = samples(wav)
            longest = 1.2 if label == "yes" else 3
            assert 0.1 <= len(sound) / RATE < longest and np.abs(sound).max() > 0.03, speaker


def test_places_differ():
    """The same utterance in two places gives two sounds, equally loud; in the same place the same."""
    tone = np.sin(np.arange(RATE // 2) / 5) / 4
    one, other = record(tone, RATE, 1), record(tone, RATE, 2)
    assert not np.array_equal(one[: RATE // 2], other[: RATE // 2])
    assert np.array_equal(one, record(tone, RATE, 1))
    assert all(0 <= len(sound) - len(tone) < RATE / 10 and np.abs(sound).max() <= 1 for sound in (one, other))


def test_several_words_take_longer(clips):
    """A text of several words is spoken as a whole, not only its first word."""
    seconds = defaultdict(list)
    for label, _, wav in clips:
        seconds[label].append(len(samples(wav)) / RATE)
    assert np.median(seconds["turn on the light"]) > 1.5 * np.median(seconds["yes"])


def test_silence_has_no_speech():
    """Silence is steady noise of the window's length, far below full scale: no 100 ms stand out as speech would."""
    made = make(words=(), per_word=1, unknown_clips=0, silence_clips=20, seconds=0.5)
    assert len({speaker for _, speaker, _ in made}) == 20
    for label, speaker, wav in made:
        sound = samples(wav)
        assert label == SILENCE and len(sound) == RATE // 2
        power = np.mean(sound.reshape(5, -1) ** 2, axis=1)
        assert power.max() < 0.05, speaker
        assert speaker.startswith("sox-brown") or power.max() < 4 * power.min() + 1e-9, speaker


def test_words_are_not_unknown():
    """A keyword is never spoken as an unknown word, whatever its case; without any other word that is an error."""
    with pytest.raises(UserError, match="no unknown words"):
        make(words=("Yes", "no"), unknown_clips=2, unknown=("yes", "NO"))


def test_text_is_not_an_option():
    """A word that looks like an option or a shell command is spoken, not obeyed."""
    assert len(make(words=("--help", "$(exit 1)"), per_word=2, unknown_clips=0, silence_clips=0)) == 4


@pytest.mark.parametrize("word", ["", "...", "привет"])
def test_unspeakable_word(word):
    """A word that a synthesiser cannot speak is named."""
    with pytest.raises(UserError, match=f"cannot speak '{word}'"):
        make(words=(word,), per_word=2, unknown_clips=0, silence_clips=0)


def test_missing_program(monkeypatch, tmp_path):
    """Without the programs the Debian package to install is named."""
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UserError, match="apt-get install espeak-ng"):
        make()
