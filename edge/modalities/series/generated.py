"""Series without a download: motion of people with a phone, and a load with seasons."""

import numpy as np

from edge.modalities.series.windows import GRAVITY

RATE = 50.0  # Hz of generated motion
BLEND = 0.8  # seconds in which one motion passes into the next
AXES = (("x_acc", "y_acc", "z_acc"), ("x_gyro", "y_gyro", "z_gyro"))
# Motion: lowest and highest frequency in Hz, strength of acceleration (m/s²) and of rotation (rad/s).
MOTIONS = {
    "cycling": ((1.0, 1.5), 1.2, 0.9),
    "resting": ((0.2, 0.3), 0.05, 0.02),
    "running": ((2.4, 3.0), 6.0, 1.8),
    "turning": ((0.4, 0.7), 0.8, 1.8),
    "walking": ((1.6, 2.1), 2.5, 0.8),
}
HARMONICS = 3
STYLE = 0.5  # standard deviation of how much of each harmonic a person has
NOISE = (0.8, 0.3)  # of acceleration (m/s²) and of rotation (rad/s)
# How a phone may lie: half turns about one of its axes, as signs of x, y, z.
ORIENTATIONS = ((1, 1, 1), (1, -1, -1), (-1, 1, -1), (-1, -1, 1))
PERIODS = (24, 168)  # of generated seasons: a day and a week of hours


def recording(subject: int, index: int, seconds: float, seed: int) -> tuple[np.ndarray, list[str]]:
    """All five motions in a drawn order, ``seconds`` each: acceleration and rotation [n, 6], and a label a row.

    A motion is a sum of harmonics whose shape all people share; strength, frequency and tilt are the person's own, and
    so is one of four orientations of the phone.
    """
    person = np.random.default_rng((seed, subject))
    orientation = np.array(ORIENTATIONS[subject % len(ORIENTATIONS)])
    strength, pace, tilt = person.uniform(0.6, 1.5), person.uniform(-1, 1), person.normal(0, 0.2, 2)
    style = person.normal(1, STYLE, (len(MOTIONS), HARMONICS, 6))
    gravity = GRAVITY * np.array([np.sin(tilt[0]), np.cos(tilt[0]) * np.cos(tilt[1]), np.sin(tilt[1])])
    random = np.random.default_rng((seed, subject, index))
    size, blend = round(seconds * RATE), round(BLEND * RATE)
    order = random.permutation(sorted(MOTIONS))
    total = size * len(order)
    time = np.arange(total + blend) / RATE
    values, weights = np.zeros((total + blend, 6)), np.zeros(total + blend)
    for place, name in enumerate(order):
        part = slice(place * size, (place + 1) * size + blend)
        weight = np.minimum(1, np.minimum(np.arange(1, size + blend + 1), np.arange(size + blend, 0, -1)) / blend)
        values[part] += weight[:, None] * _motion(
            name, time[part], strength * style[sorted(MOTIONS).index(name)], pace, random
        )
        weights[part] += weight
    values /= weights[:, None]
    values[:, :3] += gravity
    values += random.normal(0, np.repeat(NOISE, 3), values.shape)
    values[:, :3] *= orientation
    values[:, 3:] *= orientation
    return values[blend // 2 : blend // 2 + total], np.repeat(order, size).tolist()


def _motion(name: str, time: np.ndarray, strength: np.ndarray, pace: float, random: np.random.Generator) -> np.ndarray:
    """One motion without gravity, [n, 6]; ``strength`` [HARMONICS, 6] is the person's."""
    (low, high), acceleration, rotation = MOTIONS[name]
    shape = np.random.default_rng(sorted(MOTIONS).index(name))
    amplitudes = shape.normal(0, 1, (HARMONICS, 6)) / np.arange(1, HARMONICS + 1)[:, None]
    phases = shape.uniform(0, 2 * np.pi, (HARMONICS, 6))
    frequency = (low + high) / 2 + (high - low) / 2 * np.clip(pace + random.normal(0, 0.2), -1, 1)
    angle = 2 * np.pi * frequency * time[:, None, None] * np.arange(1, HARMONICS + 1)[:, None]
    waves = (strength * amplitudes * np.sin(angle + phases + random.uniform(0, 2 * np.pi))).sum(axis=1)
    return waves * np.repeat((acceleration, rotation), 3)


def seasons(rows: int, seed: int) -> np.ndarray:
    """A load with a day of 24 and a week of 168 steps whose strengths wander, a slow trend, noise: float64 [rows]."""
    random = np.random.default_rng(seed)
    time = np.arange(rows)

    def wandering(spread: float, slow: int) -> np.ndarray:
        """A random walk about 1, smooth over ``slow`` steps."""
        knots = 1 + np.cumsum(random.normal(0, spread, rows // slow + 2))
        knots += 1 - knots.mean()
        return np.interp(time, slow * np.arange(len(knots)), knots)

    day, week = PERIODS
    load = wandering(0.05, week) * np.sin(2 * np.pi * time / day)
    load += 0.35 * wandering(0.05, week) * np.sin(2 * np.pi * 2 * time / day + 1)
    load += 0.5 * wandering(0.05, week) * np.sin(2 * np.pi * time / week + 2)
    trend = np.interp(time, np.linspace(0, rows, 20), np.cumsum(random.normal(0, 0.2, 20)))
    return 10 + load + trend + random.normal(0, 0.1, rows)
