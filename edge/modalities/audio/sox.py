"""SoX on many clips in few processes, with the samples that one process a clip gives.

One process reads a lot of clips joined end to end. Each clip has an effects chain of its own, which begins with
``trim 0 <samples>`` and ends with the pseudo-effect ``newfile``: every filter starts afresh at a border and every clip
has its own output file, whatever its length becomes. Dither is off, so that bytes repeat.
"""

import errno
import functools
import io
import os
import shutil
import subprocess
import tempfile
import time
import wave
from collections import defaultdict
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from edge.core.errors import FULL, UserError
from edge.modalities.audio import phone
from edge.modalities.audio.pcm import DECODED, Pcm, Unreadable

LOT, LOT_BYTES = 128, 16 << 20  # most clips and bytes of them that one process is given
MEMORY = Path("/dev/shm")  # noqa: S108 - outputs pass through a private folder in it,
ROOM = 512 << 20  # where so many bytes are free
SECONDS = 60  # for one clip; SoX is stopped after that
RATES, CHANNELS = range(1000, 384_001), range(1, 33)  # what a clip may have
PLAYLISTS = ("m3u", "pls")  # SoX would open the files that they name
QUIET = ["-D", "-V1"]
INT16 = ["-t", "raw", "-e", "signed", "-b", "16"]


def read(clip: bytes, suffix: str) -> Pcm:
    """The samples of a file's bytes; ``suffix`` such as ".flac" tells formats without a signature apart.

    Plain PCM wav is parsed here, what phones record by FFmpeg, anything else by a SoX process. Raises Unreadable.
    """
    kind = phone.kind(clip, suffix)
    pcm = phone.decode(clip, kind) if kind else _plain_wav(clip) or _decode(clip, suffix)
    if pcm.rate not in RATES or pcm.channels not in CHANNELS:
        raise Unreadable(f"{pcm.rate} Hz, {pcm.channels} channels")
    return pcm


def _plain_wav(clip: bytes) -> Pcm | None:
    """The samples of a whole PCM wav file, else None."""
    try:
        with wave.open(io.BytesIO(clip)) as file:
            channels, width, rate, frames = file.getparams()[:4]
            data = file.readframes(frames)
    except (wave.Error, EOFError, ZeroDivisionError):
        return None
    return Pcm(rate, channels, width, data) if len(data) == frames * channels * width and width <= 4 else None


def _decode(clip: bytes, suffix: str) -> Pcm:
    """Decode a file of any format with a SoX process of its own; raises Unreadable."""
    kind = suffix.removeprefix(".").lower()
    kind = f".{kind}" if kind.isalnum() and kind not in PLAYLISTS else ""
    with _scratch() as folder:
        source, target, log = Path(folder, f"clip{kind}"), Path(folder, "decoded"), Path(folder, "log")
        source.write_bytes(clip)
        words = ["-V2", "-D", str(source), "-e", "signed", "-b", "32", "-t", "wavpcm", str(target)]
        status = _bounded(words, target, log)
        said = log.read_text(encoding="utf-8", errors="replace")
        if "No space left" in said:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), folder)
        if status or "Premature EOF" in said:
            raise Unreadable(" ".join(said.split()) or f"SoX ended with status {status}")
        pcm = _plain_wav(target.read_bytes())
    if pcm is None:
        raise Unreadable("SoX decoded it to something else than PCM")
    return pcm


def _bounded(words: list[str], target: Path, log: Path) -> int:
    """Run SoX, which writes ``target``; returns its status.

    Raises Unreadable, after SoX is stopped, where that takes more than SECONDS or DECODED bytes.
    """
    end = time.monotonic() + SECONDS
    with open(log, "wb") as file, subprocess.Popen([_program(), *words], stdin=subprocess.DEVNULL, stderr=file) as sox:
        try:
            while True:
                try:
                    return sox.wait(timeout=0.05)
                except subprocess.TimeoutExpired:
                    if target.exists() and target.stat().st_size > DECODED:
                        raise Unreadable(f"it has more than {DECODED >> 20} MB of samples") from None
                    if time.monotonic() > end:
                        raise Unreadable(f"SoX took more than {SECONDS} s") from None
        finally:
            sox.kill()


@contextmanager
def _scratch(place: Path | None = None) -> Iterator[str]:
    """A temporary folder; raises UserError where its disk is full, or where no folder can be made."""
    try:
        with tempfile.TemporaryDirectory(dir=place) as folder:
            yield folder
    except OSError as error:
        if error.errno in FULL or error.filename is None:
            place = place or os.environ.get("TMPDIR", "/tmp")  # noqa: S108 - named in the message only
            raise UserError(f"no space left in {place} for temporary files: free some, or set TMPDIR") from None
        raise


def effects(
    rate: int,
    highpass: float | None = None,
    lowpass: float | None = None,
    trim: float | None = None,
    gain: float | None = None,
) -> list[str]:
    """SoX arguments, in this order: mono, ``rate`` in Hz, ``highpass`` and ``lowpass`` in Hz, ``trim`` of what stays
    below so many percent of full scale at either end, ``gain`` in dB. None leaves an effect out.
    """
    import sox

    chain = sox.Transformer().channels(1).rate(rate)
    if highpass is not None:
        chain.highpass(highpass)
    if lowpass is not None:
        chain.lowpass(lowpass)
    if trim is not None:
        for end in (1, -1):
            chain.silence(end, silence_threshold=trim, min_silence_duration=0.02)
    if gain is not None:
        chain.gain(gain, normalize=False)
    return chain.effects


def convert(clips: Sequence[Pcm], arguments: Sequence[str]) -> list[np.ndarray]:
    """Apply ``effects`` arguments to every clip: int16 [samples] each, in the order of ``clips``.

    Raises UserError when SoX fails, which for samples already read means the machine: no SoX, no space.
    """
    groups = defaultdict(list)
    for index, clip in enumerate(clips):
        if clip.frames:
            groups[clip[:3]].append(index)
    lots = [lot for indices in groups.values() for lot in _lots(indices, clips)]
    results = [np.empty(0, np.int16)] * len(clips)
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        converted = pool.map(lambda lot: _convert_lot([clips[i] for i in lot], arguments), lots)
        for lot, outputs in zip(lots, converted, strict=True):
            for index, output in zip(lot, outputs, strict=True):
                results[index] = output
    return results


def _lots(indices: list[int], clips: Sequence[Pcm]) -> Iterator[list[int]]:
    """Cut ``indices`` into lots for one process each."""
    lot, size = [], 0
    for index in indices:
        if lot and (len(lot) == LOT or size + len(clips[index].data) > LOT_BYTES):
            yield lot
            lot, size = [], 0
        lot.append(index)
        size += len(clips[index].data)
    yield lot


def _convert_lot(clips: list[Pcm], arguments: Sequence[str]) -> list[np.ndarray]:
    """One process for clips of the same rate, channels and width."""
    rate, channels, width, _ = clips[0]
    kind = ["-t", "raw", "-r", str(rate), "-c", str(channels), "-L"]
    kind += ["-e", "unsigned" if width == 1 else "signed", "-b", str(8 * width)]
    chains = []
    for clip in clips:
        chains += [":", "newfile", ":", "trim", "0", f"{clip.frames}s", *arguments]
    scratch = MEMORY if MEMORY.is_dir() and shutil.disk_usage(MEMORY).free > ROOM else None
    with _scratch(scratch) as folder:
        source, target = Path(folder, "in"), Path(folder, "out")
        target.mkdir()
        with open(source, "wb") as file:
            file.writelines(clip.data for clip in clips)
        # %n counts from 1, and is left out of the name of a single output
        name = "%6n" if len(clips) > 1 else "1"
        done = _sox([*QUIET, *kind, str(source), *INT16, "-L", str(target / name), *chains[3:]])
        outputs = sorted(target.iterdir())
        if done.returncode or len(outputs) != len(clips):
            raise UserError(f"sox failed on {len(clips)} clips of {rate} Hz: {done.stderr.decode(errors='replace')}")
        return [np.fromfile(output, "<i2") for output in outputs]


def spectrogram(samples: np.ndarray, rate: int, png: Path) -> None:
    """Draw int16 [samples] at ``rate`` Hz as a spectrogram with axes."""
    drawing = ["-n", "spectrogram", "-x", "400", "-y", "257", f"-t{png.stem}", "-c", "", "-o", str(png)]
    data = samples.astype("<i2").tobytes()
    done = _sox([*QUIET, *INT16, "-L", "-r", str(rate), "-c", "1", "-", *drawing], data)
    if done.returncode:
        raise UserError(f"sox cannot draw {png}: {done.stderr.decode(errors='replace')}")


@functools.cache
def _program() -> str:
    """Where SoX is; raises UserError when it is missing."""
    found = shutil.which("sox")
    if found is None:
        raise UserError("sox is not installed: apt-get install sox libsox-fmt-all")
    return found


def _sox(words: list[str], data: bytes = b"") -> subprocess.CompletedProcess:
    return subprocess.run([_program(), *words], input=data, capture_output=True, check=False)
