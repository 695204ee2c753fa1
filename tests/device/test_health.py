"""The state of a board: a fake Raspberry Pi in a folder, and this machine."""

import json
import os
import random
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from device import health

LIMITS = {"temperature_c": 80, "others": 0.5, "clock_share": 0.95}
SAMPLES = 6
CPUFREQ = "sys/devices/system/cpu/cpufreq/policy0"
FILES = {
    "etc/os-release": 'PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\nNAME="Debian GNU/Linux"\n',
    "proc/cpuinfo": "processor\t: 0\nCPU revision\t: 3\n\nHardware\t: BCM2835\nRevision\t: c03112\n"
    "Serial\t\t: 10000000abcdef01\nModel\t\t: Raspberry Pi 4 Model B Rev 1.2\n",
    "proc/device-tree/compatible": "raspberrypi,4-model-b\0brcm,bcm2711\0",
    "proc/device-tree/model": "Raspberry Pi 4 Model B Rev 1.2\0",
    "proc/device-tree/serial-number": "10000000abcdef01\0",
    "proc/loadavg": "0.52 0.58 0.59 1/389 12345\n",
    "proc/meminfo": "MemTotal:        3884360 kB\nMemFree:          100000 kB\nMemAvailable:    3145728 kB\n",
    "proc/stat": "cpu  1000 0 500 90000 10 0 5 0 0 0\ncpu0 1000 0 500 90000 10 0 5 0 0 0\n",
    f"{CPUFREQ}/cpuinfo_max_freq": "1500000\n",
    f"{CPUFREQ}/scaling_cur_freq": "1500000\n",
    f"{CPUFREQ}/scaling_governor": "performance\n",
    "sys/class/hwmon/hwmon0/name": "cpu_thermal\n",
    "sys/class/hwmon/hwmon1/in0_lcrit_alarm": "0\n",
    "sys/class/hwmon/hwmon1/name": "rpi_volt\n",
    "sys/class/thermal/thermal_zone0/temp": "48312\n",
    "sys/class/thermal/thermal_zone0/type": "cpu-thermal\n",
    "sys/class/thermal/thermal_zone1/temp": "91000\n",
    "sys/class/thermal/thermal_zone1/type": "iwlwifi_1\n",
}
ANSWERS = {
    "get_throttled": "throttled=0x0",
    "measure_clock": "frequency(48)=1500345728",
    "version": "Feb 12 2020 12:36:21 ",
}


class Pi:
    """A folder with a Pi's ``/proc`` and ``/sys``, and a vcgencmd that answers with the first line of a file."""

    def __init__(self, folder: Path):
        self.root = folder / "root"
        self.answers = folder / "answers"
        self.answers.mkdir(parents=True)
        self.program = folder / "bin/vcgencmd"
        self.program.parent.mkdir()
        self.script(f'read -r line < "{self.answers}/$1" && echo "$line"')
        for name, text in FILES.items():
            self.write(name, text)
        for name, text in ANSWERS.items():
            self.answer(name, text)

    def script(self, body: str) -> None:
        self.program.write_text(f"#!/bin/sh\n{body}\n")
        self.program.chmod(0o755)

    def write(self, name: str, text: str) -> None:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def answer(self, name: str, text: str) -> None:
        (self.answers / name).write_text(f"{text}\n")

    def bits(self, bits: int) -> None:
        self.answer("get_throttled", f"throttled={bits:#x}")


@pytest.fixture
def pi(tmp_path, monkeypatch) -> Pi:
    """A fake Pi whose vcgencmd is the first on PATH."""
    pi = Pi(tmp_path / "pi")
    monkeypatch.setenv("PATH", f"{pi.program.parent}{os.pathsep}{os.environ['PATH']}")
    return pi


def steady(pi: Pi, rng: random.Random):
    """The samples of a steady run one by one, each with the "since boot" bits at that time: clock jitter, warm-up, bits
    from before, some of which the kernel clears on the way."""
    sampler, temperature = health.Sampler(pi.root), rng.uniform(40, 60)
    before, cleared = rng.randrange(16) << 16, rng.randrange(SAMPLES)
    for index in range(SAMPLES):
        temperature = min(79.9, temperature + rng.uniform(-1, 5))
        pi.write("sys/class/thermal/thermal_zone0/temp", f"{temperature * 1000:.0f}\n")
        pi.answer("measure_clock", f"frequency(48)={1.5e9 * rng.uniform(0.995, 1.005):.0f}")
        pi.bits(bits := before if index <= cleared else before & 0xA0000)
        yield sampler, bits


@pytest.mark.parametrize("seed", range(20))
def test_a_steady_run_is_trusted(pi, seed):
    """Jitter of the clock by 0.5 %, temperature below the limit and bits from before the run give no reason."""
    samples = [sampler.sample() for sampler, _ in steady(pi, random.Random(seed))]
    assert None not in [sample[key] for sample in samples for key in ("clock_mhz", "throttled", "temperature_c")]
    assert health.judge(samples, LIMITS) == []
    assert health.summary(samples)["throttled"] == 0


FAULTS = ["clock"] + [(bit, kind) for bit in range(4) for kind in ("low", "since boot", "both")]


@pytest.mark.parametrize("seed", range(20))
def test_a_fault_in_mid_run_is_found(pi, seed):
    """A clock of 600 MHz in one sample, or any bit, low for one sample or only since boot, is the one reason given."""
    rng = random.Random(seed)
    for fault in FAULTS:
        at, samples, raised = rng.randrange(1, SAMPLES), [], 0
        for index, (sampler, bits) in enumerate(steady(pi, rng)):
            if index == at and fault == "clock":
                pi.answer("measure_clock", f"frequency(48)={rng.randint(599_600_000, 600_400_000)}")
            elif fault != "clock":
                bit, kind = fault
                low, sticky = (kind != "since boot") << bit, (kind != "low") << bit + 16
                raised = low | sticky
                pi.bits((bits & ~(0x10000 << bit)) | (low if index == at else 0) | (sticky if index >= at else 0))
            samples.append(sampler.sample())
        name = (
            f"the clock fell to 600 MHz of 1500 in 1 of {SAMPLES}" if fault == "clock" else health.CAUSES[fault[0]][0]
        )
        reasons = health.judge(samples, LIMITS)
        assert len(reasons) == 1 and reasons[0].startswith(name), (fault, at, reasons)
        assert health.summary(samples)["throttled"] == raised


def sampled(pi: Pi, *bits: int) -> list[health.Sample]:
    """A sample for each state of the throttled bits."""
    sampler, samples = health.Sampler(pi.root), []
    for state in bits:
        pi.bits(state)
        samples.append(sampler.sample())
    return samples


def test_a_bit_that_was_cleared_and_rises_again_counts(pi):
    """A "since boot" bit of before the run that the kernel clears does not hide the same fault in the run."""
    assert health.judge(sampled(pi, 0x10000, 0, 0x10000), LIMITS)[0].startswith("under-voltage during the run")
    assert health.judge(sampled(pi, 0x10000, 0, 0), LIMITS) == []


def test_the_kernels_alarm_is_under_voltage(pi):
    """The alarm of rpi_volt is a reason where vcgencmd is silent."""
    pi.program.unlink()
    pi.write("sys/class/hwmon/hwmon1/in0_lcrit_alarm", "1\n")
    samples = [health.Sampler(pi.root).sample()]
    assert samples[0]["under_voltage"] == 1
    assert health.judge(samples, LIMITS) == [
        "under-voltage during the run: use the board's own power supply and a short cable"
    ]


@pytest.mark.parametrize(("governor", "advice"), [("ondemand", True), ("performance", False)])
def test_a_slow_clock_names_the_governor(pi, governor, advice):
    """Advice to set the governor comes where it is another one than performance, and only there."""
    pi.write(f"{CPUFREQ}/scaling_governor", f"{governor}\n")
    pi.answer("measure_clock", "frequency(48)=600117184")
    reason = health.judge(sampled(pi, 0), LIMITS)[0]
    assert reason.startswith("the clock fell to 600 MHz of 1500 in 1 of 1 samples: ")
    assert ("set the governor to performance" in reason) is advice


def test_without_a_known_maximum_the_run_is_its_own_measure(pi):
    """The highest true clock of the run stands in for an unknown maximum."""
    shutil.rmtree(pi.root / CPUFREQ)
    samples = sampled(pi, 0)
    assert health.judge(samples, LIMITS) == [] and samples[0]["highest_mhz"] is None
    pi.answer("measure_clock", "frequency(0)=1400000000")
    assert health.judge(samples + sampled(pi, 0), LIMITS)[0].startswith("the clock fell to 1400 MHz of 1500 in 1 of 2")


def test_the_requested_clock_is_recorded_not_judged(pi):
    """A low requested frequency beside a high true one is no reason."""
    pi.write(f"{CPUFREQ}/scaling_cur_freq", "600000\n")
    samples = sampled(pi, 0)
    assert samples[0]["requested_mhz"] == 600
    assert health.judge(samples, LIMITS) == []


def test_temperature_and_others_against_their_limits(pi):
    """At the limit the temperature is too high, others only above theirs; None switches others off."""
    sample = sampled(pi, 0)[0]
    assert health.judge([sample | {"temperature_c": 79.9, "others": 0.5}], LIMITS) == []
    assert health.judge([sample | {"temperature_c": 80.0}], LIMITS) == [
        "the temperature reached 80.0 °C, the limit is 80: cool the board"
    ]
    busy = [sample | {"others": 1.25}]
    assert health.judge(busy, LIMITS) == ["other processes kept 1.25 cores busy, the limit is 0.5: stop them, or wait"]
    assert health.judge(busy, LIMITS | {"others": None}) == []


def test_what_is_unknown_is_not_judged(tmp_path, monkeypatch):
    """A board that says nothing gives None for all but the time, no reason, no number."""
    monkeypatch.setenv("PATH", str(tmp_path))
    sampler = health.Sampler(tmp_path)
    samples = [sampler.sample(), sampler.sample()]
    assert {key for key, value in samples[1].items() if value is not None} == {"seconds"}
    assert health.judge(samples, LIMITS) == health.judge([], LIMITS) == []
    assert health.summary(samples) == health.summary([]) == {}


BROKEN = {
    "no access": 'echo "Can\'t open device file: /dev/vcio"; exit 255',
    "unknown command": "echo 'error=1 error_msg=\"Command not registered\"'",
    "bytes": "printf '\\377\\376frequency(48)=x throttled=0xzz'",
    "clock stands still": "echo 'frequency(48)=0'",
    "error with a number": "echo 'throttled=0x0'; exit 1",
}


@pytest.mark.parametrize("body", BROKEN.values(), ids=BROKEN)
def test_a_vcgencmd_that_never_works_is_unknown(pi, body):
    """Its values are None and give no reason; the fingerprint says that it fails."""
    pi.script(body)
    sampler = health.Sampler(pi.root)
    samples = [sampler.sample(), sampler.sample()]
    assert [(sample["clock_mhz"], sample["throttled"]) for sample in samples] == [(None, None)] * 2
    assert health.judge(samples, LIMITS) == []
    assert not {"clock_mhz_min", "throttled"} & health.summary(samples).keys()
    assert health.fingerprint(pi.root)["firmware"] == "unknown: vcgencmd fails"


def test_a_vcgencmd_that_hangs_is_asked_once(pi, tmp_path, monkeypatch):
    """It is given up at its time limit, unknown from then on, and costs no second wait."""
    monkeypatch.setattr(health, "TIMEOUT", 0.5)
    calls = tmp_path / "calls"
    calls.touch()
    pi.script(f'echo "$1" >> "{calls}"; exec sleep 600')
    sampler = health.Sampler(pi.root)
    samples = [sampler.sample(), sampler.sample()]
    assert [(sample["clock_mhz"], sample["throttled"]) for sample in samples] == [(None, None)] * 2
    assert len(calls.read_text().splitlines()) <= 1
    assert health.fingerprint(pi.root)["firmware"] == "unknown: vcgencmd fails"


@pytest.mark.parametrize("lost", ["measure_clock", "get_throttled"])
def test_a_vcgencmd_that_stops_working_is_a_reason(pi, lost):
    """One that answered in a run and then fails leaves the rest of the run in doubt."""
    sampler = health.Sampler(pi.root)
    samples = [sampler.sample()]
    (pi.answers / lost).unlink()
    samples += [sampler.sample(), sampler.sample()]
    assert health.judge(samples, LIMITS) == ["board state could not be read in 2 of 3 samples: vcgencmd failed"]


@pytest.mark.parametrize(("answer", "clock"), [("frequency(48)=1500345728", 1500), ("frequency(0)=2400033792", 2400)])
def test_the_clock_of_a_pi_4_and_a_pi_5(pi, answer, clock):
    """Whatever number stands in the brackets, the clock is read."""
    pi.answer("measure_clock", answer)
    assert health.Sampler(pi.root).sample()["clock_mhz"] == clock


def test_a_sample_of_the_fake_pi(pi):
    """Every value comes from its source, in its unit; the wireless chip's heat is not the processor's."""
    sample = sampled(pi, 0x50005)[0]
    assert sample.pop("seconds") <= time.monotonic()
    assert sample == {
        "clock_mhz": 1500,
        "free_mb": 3072,
        "governor": "performance",
        "highest_mhz": 1500,
        "load1": 0.52,
        "others": None,
        "requested_mhz": 1500,
        "temperature_c": 48.312,
        "throttled": 0x50005,
        "under_voltage": 0,
    }


def test_fingerprint_of_the_fake_pi(pi):
    """The board, its chip and revision, firmware and system; the serial number is nowhere in it."""
    found = health.fingerprint(pi.root)
    assert found["machine"].startswith("Raspberry Pi 4 Model B Rev 1.2 (")
    assert found["soc_revision"] == "brcm,bcm2711 c03112"
    assert found["os"] == "Debian GNU/Linux 12 (bookworm)"
    assert (found["memory_mb"], found["governor"]) == (3793, "performance")
    assert found["firmware"] == "Feb 12 2020 12:36:21"
    assert "abcdef01" not in json.dumps(found)
    pi.answer("version", "2026/04/14 22:20:24")
    assert health.fingerprint(pi.root)["firmware"] == "2026/04/14 22:20:24"


def test_summary_keeps_the_extremes(pi):
    """First and highest temperature, lowest and highest clock, most others and load, least memory, bits that count."""
    sample = sampled(pi, 0x10000)[0]
    changes = [
        {},
        {"clock_mhz": 1480, "free_mb": 900, "others": 0.3, "temperature_c": 61.0, "throttled": 0x10004},
        {"load1": 2.5, "others": 0.1, "temperature_c": 55.0, "throttled": 0x30000},
    ]
    assert health.summary([sample | change for change in changes]) == {
        "clock_mhz_max": 1500,
        "clock_mhz_min": 1480,
        "free_mb_min": 900,
        "load1_max": 2.5,
        "others_max": 0.3,
        "temperature_max": 61.0,
        "temperature_start": 48.312,
        "throttled": 0x20004,
    }


@pytest.mark.parametrize("seed", range(5))
def test_malformed_sources_do_no_harm(pi, seed):
    """Random bytes, numbers beyond reason, a folder in a file's place: sample and fingerprint that JSON can hold."""
    rng = random.Random(seed)
    junk = [b"", b"nan\n", b"-\n", b"9" * 5000, b"cpu  1 2\n", b"MemAvailable: x kB\n", rng.randbytes(300)]
    sampler = health.Sampler(pi.root)
    for path in [*pi.root.rglob("*"), *pi.answers.iterdir()]:
        if path.is_file():
            path.write_bytes(rng.choice(junk))
    (pi.root / "proc/loadavg").unlink()
    (pi.root / "proc/loadavg").mkdir()
    samples = [sampler.sample(), sampler.sample(), health.Sampler(pi.root).sample()]
    json.dumps([samples, health.fingerprint(pi.root), health.summary(samples)], allow_nan=False)
    assert health.judge(samples, LIMITS) == []


def test_own_work_is_not_that_of_others(pi):
    """What this process used is taken off; the rest of what the kernel counts as busy is others."""
    others = []
    for foreign in (0, 10_000):
        pi.write("proc/stat", "cpu  1000 0 500 90000 10 0 5 0 0 0\n")
        sampler = health.Sampler(pi.root)
        assert sampler.sample()["others"] is None
        start = time.process_time()
        while time.process_time() < start + 0.3:
            pass
        own = int((time.process_time() - start) * os.sysconf("SC_CLK_TCK"))
        pi.write("proc/stat", f"cpu  {1000 + own} 0 {500 + foreign} 99000 10 0 5 0 0 0\n")
        others.append(sampler.sample()["others"])
    assert others[0] == 0 and others[1] > 1


def test_samples_in_a_hurry_leave_others_for_later(pi):
    """A sample too soon after another says None and takes nothing away from the next one that can tell."""
    sampler = health.Sampler(pi.root)
    first = sampler.sample()
    pi.write("proc/stat", "cpu  90000 0 500 90000 10 0 5 0 0 0\n")
    sample, deadline = sampler.sample(), time.monotonic() + 60
    while sample["others"] is None and time.monotonic() < deadline:
        sample = sampler.sample()
    assert sample["others"] > 0
    assert sample["seconds"] - first["seconds"] >= health.SHORTEST


def test_a_busy_child_shows_in_others():
    """Another process that keeps a core busy on this machine is seen."""
    sampler, seen, deadline = health.Sampler(), 0.0, time.monotonic() + 60
    child = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        while seen < 0.5 and time.monotonic() < deadline:
            seen = sampler.sample()["others"] or 0.0
    finally:
        child.kill()
        child.wait()
    assert seen >= 0.5


def test_alone_on_this_machine(tmp_path):
    """The file by itself, without installed packages, reads from this machine what every Linux has."""
    shutil.copy(Path(health.__file__), tmp_path)
    code = (
        f"import sys; sys.path.insert(0, {str(tmp_path)!r}); import health, json; "
        "print(json.dumps([health.fingerprint(), health.Sampler().sample()], allow_nan=False))"
    )
    done = subprocess.run([sys.executable, "-I", "-S", "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found, sample = json.loads(done.stdout)
    assert {"machine", "kernel", "python", "cores", "memory_mb"} <= found.keys() and None not in found.values()
    assert sample["free_mb"] > 0 and sample["load1"] >= 0 and sample["others"] is None
