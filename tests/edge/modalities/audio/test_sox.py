"""Many clips through few SoX processes, against one process for each clip."""

import io
import subprocess
import wave

import numpy as np
import pytest

from edge.core.errors import UserError
from edge.modalities.audio import sox

CHAINS = {
    "rate": {},
    "filters": {"highpass": 100.0, "lowpass": 3000.0, "gain": -6.0},
    "trim": {"trim": 2.0},
    "all": {"highpass": 100.0, "lowpass": 3000.0, "trim": 2.0, "gain": 3.0},
}


def wav(samples: np.ndarray, rate: int, channels: int = 1, width: int = 2) -> bytes:
    """float [samples] in -1..1 as a wav; further channels are quieter copies."""
    frames = np.stack([samples / (1 + i) for i in range(channels)], axis=1).ravel()
    whole = np.round(frames * (2 ** (8 * width - 1) - 1)).astype("<i8") + (128 if width == 1 else 0)
    file = io.BytesIO()
    with wave.open(file, "wb") as out:
        out.setparams((channels, width, rate, 0, "NONE", ""))
        out.writeframes(whole.view(np.uint8).reshape(-1, 8)[:, :width].tobytes())
    return file.getvalue()


def sound(seed: int, rate: int) -> np.ndarray:
    """Loud noise up to both borders, or a burst in silence, of varying length."""
    rng = np.random.default_rng(seed)
    samples = rng.uniform(-0.9, 0.9, int(rng.integers(rate // 10, rate)))
    if seed % 3 == 0:
        samples[: len(samples) // 4] = 0
        samples[-len(samples) // 5 :] = 0
    return samples


def one_process(clip: bytes, arguments: list[str]) -> np.ndarray:
    words = ["sox", "-D", "-V1", "-t", "wav", "-", "-t", "raw", "-e", "signed", "-b", "16", "-", *arguments]
    return np.frombuffer(subprocess.run(words, input=clip, capture_output=True, check=True).stdout, "<i2")


def decoded(path, *arguments: str) -> bytes:
    """A file that SoX writes: half a second of a tone."""
    words = ["sox", "-D", "-R", "-n", "-r", "16000", "-c", "1", *arguments, str(path), "synth", "0.5", "sine", "440"]
    subprocess.run(words, check=True, capture_output=True)
    return path.read_bytes()


@pytest.mark.parametrize("chain", CHAINS)
def test_same_samples_as_one_process_a_clip(chain):
    """Every sample of clips of mixed formats, at borders too, is within 1 of what a process of its own gives."""
    kinds = [(16000, 1, 2), (8000, 1, 2), (44100, 2, 2), (16000, 1, 1), (22050, 1, 3), (48000, 2, 4)]
    clips = [wav(sound(i, kinds[i % 6][0]), *kinds[i % 6]) for i in range(72)]
    arguments = sox.effects(16000, **CHAINS[chain])
    outputs = sox.convert([sox.read(clip, ".wav") for clip in clips], arguments)
    assert len(outputs) == len(clips)
    for clip, output in zip(clips, outputs, strict=True):
        expected = one_process(clip, arguments)
        assert len(output) == len(expected)
        assert np.abs(output.astype(int) - expected).max(initial=0) <= 1


def test_more_clips_than_one_process_takes(monkeypatch):
    """Lots cut by number and by size give the same as a single one."""
    pcms = [sox.read(wav(sound(i, 8000), 8000), ".wav") for i in range(20)]
    arguments = sox.effects(16000, trim=1.0)
    expected = sox.convert(pcms, arguments)
    for name, limit in (("LOT", 3), ("LOT_BYTES", 20000), ("LOT_BYTES", 1)):
        with monkeypatch.context() as context:
            context.setattr(sox, name, limit)
            assert all(np.array_equal(a, b) for a, b in zip(sox.convert(pcms, arguments), expected, strict=True))


def test_clips_that_become_empty():
    """A clip without samples, and one that is trimmed to nothing, stay in their place as empty arrays."""
    loud = sound(1, 16000)
    clips = [wav(x, 16000) for x in (np.zeros(0), loud, np.zeros(8000), loud)]
    pcms = [sox.read(clip, ".wav") for clip in clips]
    empty, first, trimmed, second = sox.convert(pcms, sox.effects(16000, trim=1.0))
    assert len(empty) == len(trimmed) == 0
    assert len(first) and np.array_equal(first, second)


@pytest.mark.parametrize("kind", ["flac", "ogg", "aiff", "mp3", "au"])
def test_other_formats(tmp_path, kind):
    """What is not plain PCM wav is decoded by SoX: half a second of it has the right length and level."""
    known = subprocess.run(["sox", "--help"], capture_output=True, text=True, check=True).stdout
    if f" {kind} " not in known:
        pytest.skip(f"NO {kind.upper()} WAS READ: this SoX has no {kind}")
    clip = decoded(tmp_path / f"clip.{kind}")
    (output,) = sox.convert([sox.read(clip, f".{kind}")], sox.effects(16000))
    assert abs(len(output) - 8000) < 2500  # mp3 pads
    assert np.abs(output.astype(int)).max() > 16000


def test_floating_point_and_streamed_wav(tmp_path):
    """Wav that Python cannot parse, and wav of unknown length from a pipe, are read like plain wav."""
    plain = sox.read(decoded(tmp_path / "a.wav", "-b", "16"), ".wav")
    floating = sox.read(decoded(tmp_path / "b.wav", "-e", "float", "-b", "32"), ".wav")
    assert floating.width == 4
    assert np.abs(plain.samples().astype(int) - floating.samples()).max() <= 1
    words = ["sox", "-D", "-R", "-n", "-r", "16000", "-b", "16", "-c", "1", "-t", "wav", "-"]
    words += ["synth", "0.5", "sine", "440"]
    piped = subprocess.run(words, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout
    assert np.array_equal(sox.read(piped, ".wav").samples(), plain.samples())


@pytest.mark.parametrize("cut", [0, 3, 30, 44 + 1000, 44 + 1001])
def test_broken_wav(cut):
    """A wav without content, without a whole header, or cut off is unreadable."""
    with pytest.raises(sox.Unreadable):
        sox.read(wav(sound(1, 8000), 8000)[:cut], ".wav")


@pytest.mark.parametrize("suffix", [".wav", ".mp3", ".txt", "", ".m3u", ".|id"])
def test_noise_is_unreadable(suffix):
    """Bytes that are no sound are unreadable whatever their suffix, and a playlist opens no other file."""
    with pytest.raises(sox.Unreadable):
        sox.read(b"/etc/hostname\n" * 50, suffix)


def test_too_many_samples(tmp_path, monkeypatch):
    """A small file of a long silence stops SoX once its samples are more than a clip may have."""
    words = ["sox", "-D", "-n", "-r", "48000", "-c", "2", str(tmp_path / "long.flac"), "trim", "0", "3600"]
    subprocess.run(words, check=True)
    monkeypatch.setattr(sox, "DECODED", 10 << 20)
    with pytest.raises(sox.Unreadable, match="more than 10 MB of samples"):
        sox.read((tmp_path / "long.flac").read_bytes(), ".flac")


def test_a_full_temporary_folder(monkeypatch):
    """Where temporary files find no space, the error names their folder and is no matter of the clip."""

    def full(*_, **__):
        raise FileNotFoundError(2, "No usable temporary directory found in ['/tmp']")

    monkeypatch.setattr(sox.tempfile, "TemporaryDirectory", full)
    monkeypatch.setenv("TMPDIR", "/scratch")
    with pytest.raises(UserError, match="no space left in /scratch for temporary files"):
        sox.read(b"no sound", ".flac")


def test_absurd_header():
    """A rate that would make SoX resample for ever is unreadable."""
    clip = bytearray(wav(sound(1, 8000), 8000))
    clip[24:28] = (1).to_bytes(4, "little")
    with pytest.raises(sox.Unreadable, match="1 Hz"):
        sox.read(bytes(clip), ".wav")


def test_spectrogram(tmp_path):
    """The picture is a PNG, the same twice."""
    samples = (sound(1, 16000) * 10000).astype(np.int16)
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        sox.spectrogram(samples, 16000, tmp_path / folder / "yes.png")
    first, second = ((tmp_path / folder / "yes.png").read_bytes() for folder in ("a", "b"))
    assert first.startswith(b"\x89PNG") and first == second


def test_a_word_that_is_an_effect_of_sox(tmp_path):
    """A label such as reverse, which SoX knows as an effect, is a title like any other."""
    sox.spectrogram(np.arange(1600, dtype=np.int16), 16000, tmp_path / "reverse.png")
    assert (tmp_path / "reverse.png").stat().st_size > 0
