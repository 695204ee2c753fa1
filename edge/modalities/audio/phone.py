"""What phones and browsers record and SoX cannot read: AAC, ALAC, AMR and Opus, decoded by FFmpeg's libraries (PyAV).

The bytes, not the suffix, say what a file is. FFmpeg gets the bytes of one file in memory, one demuxer by name, one
decoder of a short list, and no way to open anything else; what comes out is bounded.
"""

import io

from edge.modalities.audio.pcm import DECODED, Pcm, Unreadable

SUFFIXES = ("m4a", "mp4", "3gp", "aac", "amr", "opus", "webm", "mka")
DECODERS = ("aac", "alac", "amrnb", "amrwb", "opus", "vorbis", "mp3", "mp3float", "flac")
PACKETS = 1_000_000  # packets that one clip may have: more than a day of Opus
MISSING = 0.5  # seconds that may be missing at the end of what a file's header promises


def kind(clip: bytes, suffix: str) -> str | None:
    """The name of FFmpeg's demuxer for a file's bytes, or None where FFmpeg does not read it here."""
    if clip[4:8] == b"ftyp":
        return "mp4"
    if clip.startswith(b"\x1aE\xdf\xa3"):
        return "matroska"
    if clip.startswith(b"#!AMR"):
        return "amr"
    if clip.startswith(b"OggS") and clip[28:36] == b"OpusHead":
        return "ogg"
    return "aac" if suffix.lower() == ".aac" else None


def decode(clip: bytes, demuxer: str) -> Pcm:
    """The samples of the first sound track of a file's bytes, 16 bits, at its own rate; raises Unreadable."""
    import av

    def refuse(*_):
        raise Unreadable("it names another file")

    av.logging.set_level(av.logging.PANIC)
    try:
        with av.open(io.BytesIO(clip), format=demuxer, metadata_errors="replace", io_open=refuse) as container:
            stream = container.streams.audio[0]
            if stream.codec_context is None or stream.codec_context.codec.name not in DECODERS:
                raise Unreadable("its sound is in no format that is read here")
            stream.codec_context.thread_count = 1
            rate, channels, data = _samples(av, container, stream)
            promised = container.duration if demuxer in ("mp4", "matroska") else None
    except (av.FFmpegError, ValueError, TypeError, IndexError, OverflowError, MemoryError) as error:
        raise Unreadable(" ".join(str(error).split()) or type(error).__name__) from None
    pcm = Pcm(rate, channels, 2, data)
    if promised and pcm.seconds < promised / av.time_base - MISSING:
        raise Unreadable(f"it ends after {pcm.seconds:.1f} of {promised / av.time_base:.1f} s")
    return pcm


def _samples(av, container, stream) -> tuple[int, int, bytes]:
    """(Hz, channels, int16 samples interleaved) of a stream; raises Unreadable where it has more than DECODED bytes."""
    resampler = av.AudioResampler(format="s16")
    pieces, size, rate, channels = [], 0, 0, 0
    for number, packet in enumerate(container.demux(stream)):
        for frame in packet.decode():
            for part in resampler.resample(frame):
                rate, channels = part.sample_rate, part.layout.nb_channels
                pieces.append(part.to_ndarray().tobytes())
                size += len(pieces[-1])
        if size > DECODED or number > PACKETS:
            raise Unreadable(f"it has more than {DECODED >> 20} MB of samples")
    if not pieces:
        raise Unreadable("it has no sound")
    return rate, channels, b"".join(pieces)
