"""What phones record is read, and what only looks like it is not."""

import io
from contextlib import suppress

import av
import numpy as np
import pytest

from edge.modalities.audio import pcm, phone, sox

KINDS = {
    "m4a": ("ipod", "aac", 44100),
    "alac.m4a": ("ipod", "alac", 44100),
    "mp4": ("mp4", "aac", 48000),
    "3gp": ("3gp", "aac", 16000),
    "aac": ("adts", "aac", 44100),
    "opus": ("ogg", "libopus", 48000),
    "webm": ("webm", "libopus", 48000),
    "amr": ("amr", "libopencore_amrnb", 8000),
}


def recorded(name: str, seconds: float = 0.5) -> bytes:
    """A tone of 440 Hz in a format that phones or browsers write."""
    container, encoder, rate = KINDS[name]
    file = io.BytesIO()
    with av.open(file, "w", format=container) as out:
        stream = out.add_stream(encoder, rate=rate, layout="mono")
        tone = np.sin(np.arange(int(seconds * rate)) * 2 * np.pi * 440 / rate) * 20000
        frame = av.AudioFrame.from_ndarray(tone.astype(np.int16)[None], format="s16", layout="mono")
        frame.sample_rate = rate
        context = stream.codec_context
        resampler = av.AudioResampler(context.format, "mono", rate, context.frame_size)
        for part in [*resampler.resample(frame), *resampler.resample(None), None]:
            out.mux(stream.encode(part))
    return file.getvalue()


@pytest.mark.parametrize("name", KINDS)
def test_what_phones_record(name):
    """Half a second of a tone has its length, level and pitch, the same twice, and SoX converts it like any clip."""
    clip = recorded(name)
    read = sox.read(clip, f".{name}")
    assert read == sox.read(clip, f".{name}") and read.channels == 1
    assert 0.49 < read.seconds < 0.65  # AAC pads
    assert 19000 < np.abs(read.samples().astype(int)).max() < 24000
    (output,) = sox.convert([read], sox.effects(16000))
    spectrum = np.abs(np.fft.rfft(output[1000:7000]))
    assert abs(np.argmax(spectrum) * 16000 / 6000 - 440) < 5


@pytest.mark.parametrize("name", ["m4a", "webm", "opus", "amr"])
def test_the_bytes_say_what_it_is(name):
    """A phone's recording under the suffix of another format is read."""
    assert sox.read(recorded(name), ".wav").seconds > 0.4


@pytest.mark.parametrize("name", KINDS)
def test_hostile_files_are_unreadable(name):
    """Damaged and shortened files give samples or Unreadable, nothing else."""
    clip, random = recorded(name), np.random.default_rng(1)
    for number in range(125):
        damaged = bytearray(clip)
        for place in random.integers(12, len(clip), random.integers(1, 20)):
            damaged[place] = random.integers(256)
        if number % 4 == 0:
            del damaged[random.integers(12, len(clip)) :]
        with suppress(pcm.Unreadable):
            assert phone.decode(bytes(damaged), phone.kind(clip, f".{name}")).frames


def test_a_recording_that_ends_early():
    """A recording that is cut off while its header promises more is unreadable."""
    clip = recorded("webm", 3)
    with pytest.raises(pcm.Unreadable, match=r"ends after 1\.\d of 3\.0 s"):
        phone.decode(clip[: len(clip) // 2], "matroska")


def test_too_many_samples(monkeypatch):
    """A small file of a long silence is unreadable once its samples are more than a clip may have."""
    monkeypatch.setattr(phone, "DECODED", 50_000)
    with pytest.raises(pcm.Unreadable, match="MB of samples"):
        phone.decode(recorded("opus", 2), "ogg")


def test_a_film_without_sound_we_know():
    """A file with a track that is no sound, or with none at all, is unreadable."""
    with pytest.raises(pcm.Unreadable):
        phone.decode(b"\0\0\0\x1cftypisom" + bytes(100), "mp4")
