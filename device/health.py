"""What a board says about itself, and whether a measurement on it can be trusted.

Travels to the board: standard library only. Works on any Linux: what a machine does not say is unknown, and what is
unknown is never judged. No serial number and no host name is read.

Sources: ``/proc``, ``/sys``, and on a Raspberry Pi ``vcgencmd``, whose answers look like ``frequency(48)=1500345728``
(any number in the brackets), ``throttled=0x50005`` and, first line of ``version``, ``Feb 12 2020 12:36:21`` or
``2026/04/14 22:20:24``. Meaning of the throttled bits:
https://www.raspberrypi.com/documentation/computers/os.html#get_throttled
"""

import os
import platform
import re
import shutil
import subprocess
import time
from pathlib import Path

TIMEOUT = 2.0  # seconds that vcgencmd may take
SHORTEST = 0.1  # seconds: in less, the kernel's ticks of 10 ms say too little about who used the processor

CAUSES = {  # bit of get_throttled -> name, what to do; 16 bits higher the same, since boot
    0: ("under-voltage", "use the board's own power supply and a short cable"),
    1: ("frequency capped", "check the power supply and the cooling"),
    2: ("throttled", "check the power supply and the cooling"),
    3: ("soft temperature limit", "cool the board"),
}

Sample = dict[str, float | int | str | None]


def fingerprint(root: str | Path = "/") -> dict[str, str | int | float]:
    """What the board is; what is unknown is left out.

    machine, soc_revision (chip and board revision code), kernel, os, python, cores, memory_mb (MiB), governor, firmware
    (its date; ``unknown: vcgencmd fails`` where the program is there and gives none). ``root`` is the folder that holds
    ``proc``, ``sys`` and ``etc``.
    """
    root = Path(root)
    sampler = Sampler(root)
    cpuinfo = _read(root / "proc/cpuinfo")
    name = _read(root / "proc/device-tree/model").strip("\0\n ") or _find(r"^(?:model name|Model)\s*:\s*(.+)$", cpuinfo)
    # with some kernels cpuinfo's "Hardware" is BCM2835 on every Pi; the device tree knows better
    chip = _read(root / "proc/device-tree/compatible").strip("\0").rpartition("\0")[2]
    chip = chip or _find(r"^Hardware\s*:\s*(.+)$", cpuinfo) or ""
    revision = _find(r"^Revision\s*:\s*(\w+)", cpuinfo) or ""
    known = {
        "machine": f"{name or 'unknown'} ({platform.machine()})",
        "soc_revision": f"{chip} {revision}".strip(),
        "kernel": platform.release(),
        "os": _find(r"^PRETTY_NAME=[\"']?([^\"'\n]+)", _read(root / "etc/os-release")),
        "python": platform.python_version(),
        "cores": os.cpu_count(),
        "memory_mb": _mebibytes(root, "MemTotal"),
        "governor": sampler.governor(),
        "firmware": sampler.firmware(),
    }
    return {key: value for key, value in known.items() if value}


class Sampler:
    """Reads the state of the board; ``root`` is the folder that holds ``proc`` and ``sys``, ``vcgencmd`` is on PATH.

    The measured work runs in the process that samples, all its threads included; a parent that waits uses no processor.
    Whatever else is busy counts as other processes: this process's children, and time a hypervisor takes away. What a
    sample itself costs does not: ``others`` covers the time from the end of a sample to the start of the next.
    """

    def __init__(self, root: str | Path = "/") -> None:
        self.root = Path(root)
        self._vcgencmd = shutil.which("vcgencmd")
        self._mark: tuple[float, float, float] | None = None
        cpufreq = self.root / "sys/devices/system/cpu/cpufreq"
        self._governors = list(cpufreq.glob("policy*/scaling_governor"))
        self._requested = list(cpufreq.glob("policy*/scaling_cur_freq"))
        self._highest = list(cpufreq.glob("policy*/cpuinfo_max_freq")) or list(cpufreq.glob("policy*/scaling_max_freq"))
        zones = (self.root / "sys/class/thermal").glob("thermal_zone*/type")
        self._zones = [zone.with_name("temp") for zone in zones if re.search("cpu|soc|pkg", _read(zone).lower())]
        names = (self.root / "sys/class/hwmon").glob("hwmon*/name")
        self._alarms = [name.with_name("in0_lcrit_alarm") for name in names if _read(name).strip() == "rpi_volt"]

    def sample(self) -> Sample:
        """The state now; None where unknown.

        seconds (monotonic clock), temperature_c (hottest zone of the processor), clock_mhz (the true clock),
        requested_mhz, highest_mhz, governor, throttled (bits), others (cores busy with other processes since the
        previous sample; None in the first one, and less than 0.1 s after another), load1, free_mb (MiB), under_voltage
        (the kernel's alarm, 0 or 1).

        A ``vcgencmd`` that fails leaves its values None; one that does not answer within 2 s is not asked again.
        """
        others = _others(self._mark, self._usage())
        clock = self._clock()  # before anything slow: it may fall as soon as the work stops
        temperature = _largest(self._zones)
        load1 = _find(r"^(\d{1,9}\.\d{1,9}) ", _read(self.root / "proc/loadavg"))
        state = {
            "seconds": time.monotonic(),
            "temperature_c": None if temperature is None else temperature / 1000,
            "clock_mhz": clock,
            "requested_mhz": _megahertz(self._requested),
            "highest_mhz": _megahertz(self._highest),
            "governor": self.governor(),
            "throttled": self._throttled(),
            "others": others,
            "load1": None if load1 is None else float(load1),
            "free_mb": _mebibytes(self.root, "MemAvailable"),
            "under_voltage": _largest(self._alarms),
        }
        if self._mark is None or others is not None:
            self._mark = self._usage()
        return state

    def governor(self) -> str | None:
        """The governor of the clock; several, joined by ``+``, where groups of cores differ; None if unknown."""
        return "+".join(sorted({_read(path).strip() for path in self._governors} - {""})) or None

    def firmware(self) -> str | None:
        """The date line of the firmware's version; says so where vcgencmd fails; None without vcgencmd."""
        if self._vcgencmd is None:
            return None
        return _find(r"\A(.{1,40} \d\d:\d\d:\d\d)\s*$", self._ask("version")) or "unknown: vcgencmd fails"

    def _clock(self) -> int | None:
        """The true clock in MHz; the firmware counts pulses during 1 ms, the digits below are noise."""
        hertz = _find(r"\Afrequency\(\d+\)=(\d{1,12})\Z", self._ask("measure_clock", "arm"))
        return round(int(hertz) / 1e6) or None if hertz else None

    def _throttled(self) -> int | None:
        bits = _find(r"\Athrottled=0x([0-9a-fA-F]{1,8})\Z", self._ask("get_throttled"))
        return int(bits, 16) if bits else None

    def _ask(self, *words: str) -> str:
        """What vcgencmd answers, empty where it fails."""
        if self._vcgencmd is None:
            return ""
        command = [self._vcgencmd, *words]
        try:
            done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=TIMEOUT, check=False)
        except subprocess.TimeoutExpired:
            self._vcgencmd = None
            return ""
        except OSError:
            return ""
        return "" if done.returncode else done.stdout.decode(errors="replace").strip()

    def _usage(self) -> tuple[float, float, float] | None:
        """Now, seconds that all cores were busy since boot, seconds of processor that this process used."""
        line = _find(r"\Acpu +(\d[\d ]{1,300})$", _read(self.root / "proc/stat"))
        ticks = [int(word) for word in line.split()] if line else []
        if len(ticks) < 8:
            return None
        busy = sum(ticks[:3]) + sum(ticks[5:8])  # user, nice, system; irq, softirq, steal; not idle, iowait
        return time.monotonic(), busy / os.sysconf("SC_CLK_TCK"), time.process_time()


def judge(samples: list[Sample], limits: dict, heat: bool = True) -> list[str]:
    """Why a run with these samples, in order, is not to be trusted, a line each; empty if nothing speaks against it.

    ``limits``: temperature_c (reached is too much), others (cores; above is too much, None is not judged), clock_share
    (of the highest clock; below is too little). The true clock counts, the requested one does not. A "since boot" bit
    counts where it rises between two samples, not where it was set before. Without ``heat`` temperature, clock and
    throttling are let pass, as in a soak, which is made to see what they do.
    """
    reasons = _throttling(samples, heat) + _unread(samples)
    hottest, hot = max(_known(samples, "temperature_c"), default=None), limits["temperature_c"]
    if heat:
        reasons += _slow(samples, limits["clock_share"])
    if heat and hottest is not None and hottest >= hot:
        reasons.append(f"the temperature reached {hottest:.1f} °C, the limit is {hot:g}: cool the board")
    others, most = max(_known(samples, "others"), default=None), limits["others"]
    if others is not None and most is not None and others > most:
        reasons.append(f"other processes kept {others:.2f} cores busy, the limit is {most:g}: stop them, or wait")
    return reasons


def summary(samples: list[Sample]) -> dict[str, float | int]:
    """Numbers for a metrics file, only what is known.

    temperature_start, temperature_max (°C), clock_mhz_min, clock_mhz_max, others_max (cores), free_mb_min (MiB),
    load1_max, throttled (the bits that count against the run: low ones of any sample, "since boot" ones that rose).
    """
    numbers = {
        "temperature_start": _known(samples, "temperature_c")[:1],
        "temperature_max": sorted(_known(samples, "temperature_c"))[-1:],
        "clock_mhz_min": sorted(_known(samples, "clock_mhz"))[:1],
        "clock_mhz_max": sorted(_known(samples, "clock_mhz"))[-1:],
        "others_max": sorted(_known(samples, "others"))[-1:],
        "free_mb_min": sorted(_known(samples, "free_mb"))[:1],
        "load1_max": sorted(_known(samples, "load1"))[-1:],
        "throttled": [_bits(samples)] if _known(samples, "throttled") else [],
    }
    return {name: values[0] for name, values in numbers.items() if values}


def _others(before: tuple[float, float, float] | None, now: tuple[float, float, float] | None) -> float | None:
    """Cores busy with other processes between two readings of ``Sampler._usage``; None if unknown or too short."""
    if before is None or now is None or now[0] - before[0] < SHORTEST:
        return None
    elapsed, busy, own = (after - start for after, start in zip(now, before, strict=True))
    return round(max(0.0, busy - own) / elapsed, 3)


def _bits(samples: list[Sample]) -> int:
    """The bits that count against the run.

    Each sample is held against the one before, not the first: the kernel's own driver (raspberrypi-hwmon) clears the
    "since boot" bits as it polls, so one that was set in the first sample may fall, and rise again.
    """
    states = _known(samples, "throttled")
    found = 0
    for before, state in zip(states[:1] + states, states, strict=False):
        found |= state & 0xF | state & ~before & 0xF0000
    return found


def _throttling(samples: list[Sample], heat: bool) -> list[str]:
    """A reason for each cause that the firmware names, under-voltage also the kernel's alarm; without heat that."""
    found = _bits(samples) | any(_known(samples, "under_voltage"))
    causes = {bit: cause for bit, cause in CAUSES.items() if heat or bit == 0}
    return [f"{name} during the run: {do}" for bit, (name, do) in causes.items() if found & 0x10001 << bit]


def _unread(samples: list[Sample]) -> list[str]:
    """A reason where vcgencmd answered in some samples but not in all."""
    counts = (len(_known(samples, key)) for key in ("clock_mhz", "throttled"))
    missing = max(len(samples) - count if count else 0 for count in counts)
    return [f"board state could not be read in {missing} of {len(samples)} samples: vcgencmd failed"] * bool(missing)


def _slow(samples: list[Sample], share: float) -> list[str]:
    """A reason where the true clock fell below this share of the highest."""
    clocks = _known(samples, "clock_mhz")
    highest = max(_known(samples, "highest_mhz") or clocks, default=0)
    slow = [clock for clock in clocks if clock < share * highest]
    if not slow:
        return []
    governors = sorted(set(_known(samples, "governor")) - {"performance"})
    do = "check the power supply and the cooling"
    if governors:
        do = f"the governor is {' and '.join(governors)}, set the governor to performance"
    return [f"the clock fell to {min(slow)} MHz of {highest} in {len(slow)} of {len(samples)} samples: {do}"]


def _known(samples: list[Sample], key: str) -> list:
    return [sample[key] for sample in samples if sample.get(key) is not None]


def _read(path: Path) -> str:
    """A file's text, empty where it cannot be read."""
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def _find(pattern: str, text: str) -> str | None:
    """The group of the pattern's first match; ``^`` and ``$`` stand for the ends of a line."""
    match = re.search(pattern, text, re.MULTILINE)
    return match[1].strip() if match else None


def _largest(paths: list[Path]) -> int | None:
    """The largest of the integers in these files; a file that holds none does not count."""
    found = [_find(r"\A(-?\d{1,12})\s*\Z", _read(path)) for path in paths]
    return max((int(number) for number in found if number), default=None)


def _megahertz(paths: list[Path]) -> int | None:
    """The largest clock in these files of cpufreq, which hold kHz."""
    kilohertz = _largest(paths)
    return None if kilohertz is None else round(kilohertz / 1000)


def _mebibytes(root: Path, name: str) -> int | None:
    """An entry of /proc/meminfo in MiB."""
    kibibytes = _find(rf"^{name}:\s+(\d{{1,15}}) kB$", _read(root / "proc/meminfo"))
    return int(kibibytes) // 1024 if kibibytes else None
