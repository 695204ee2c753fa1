"""Pictures drawn for a first run: discs, rings and dots, crowded and cut at the edge, as cells under a microscope."""

import io
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from tasks.object_detection.voc import annotation

HEIGHT, WIDTH = 240, 320
KINDS = {  # label: share of the things, least and largest radius in pixels, colour, opacity
    "disc": (0.65, 24, 32, (205, 120, 115), 0.75),
    "ring": (0.1, 42, 56, (120, 80, 160), 0.9),
    "dot": (0.25, 9, 14, (150, 90, 150), 0.85),
}
CLOSEST = 0.7  # least distance of two things of a kind, in sums of their radii: they overlap, and can be told apart
TRIES = 20  # places that are tried for a thing in a crowd
SEEN = 0.35  # least share of a thing's box that lies in the picture


class Thing(NamedTuple):
    """Something that is drawn: ``centre`` and ``radii`` (y, x) in pixels; ``box`` y0 x0 y1 x1 is what is seen of it."""

    label: str
    centre: np.ndarray
    radii: np.ndarray
    box: tuple[int, int, int, int]

    def hides(self, other: "Thing") -> bool:
        """Is it of the same kind and so near that one could not tell the two apart?"""
        closest = CLOSEST * (self.radii.mean() + other.radii.mean())
        return self.label == other.label and np.hypot(*(self.centre - other.centre)) < closest


def files(config, seed: int) -> Iterator[tuple[str, bytes]]:
    """Files of a Pascal VOC folder (name, content): ``config.pictures`` JPEG pictures and their annotations."""
    from PIL import Image

    for number in range(config.pictures):
        _, things = planned(number, config, seed)
        boxes = [(thing.label, *thing.box) for thing in things]
        yield f"Annotations/scene_{number:05}.xml", annotation(HEIGHT, WIDTH, boxes)
    for number in range(config.pictures):
        random, things = planned(number, config, seed)
        file = io.BytesIO()
        Image.fromarray(drawn(things, random)).save(file, "JPEG", quality=92)
        yield f"JPEGImages/scene_{number:05}.jpg", file.getvalue()


def planned(number: int, config, seed: int) -> tuple[np.random.Generator, list[Thing]]:
    """What is in the picture ``number``, up to ``config.most`` things, and the generator that draws them."""
    random, things = np.random.default_rng((seed, number)), []
    shares = [kind[0] for kind in KINDS.values()]
    for label in random.choice(list(KINDS), size=random.integers(1, config.most + 1), p=shares):
        _, low, high, _, _ = KINDS[label]
        for _ in range(TRIES):
            radii = random.uniform(low, high) * random.uniform(0.88, 1.12, 2)
            centre = random.uniform((0, 0), (HEIGHT, WIDTH))
            corners = np.concatenate([centre - radii, centre + radii])
            box = np.round(np.clip(corners, 0, (HEIGHT, WIDTH, HEIGHT, WIDTH))).astype(int)
            thing = Thing(str(label), centre, radii, tuple(box.tolist()))
            seen = (box[2] - box[0]) * (box[3] - box[1]) / (4 * radii.prod())
            if seen >= SEEN and not any(thing.hides(other) for other in things):
                things.append(thing)
                break
    return random, things


def drawn(things: list[Thing], random: np.random.Generator) -> np.ndarray:
    """Pixels of a picture, uint8 [240, 320, 3]: the ground, the things in their order, noise."""
    picture = ground(random)
    for thing in things:
        draw(picture, thing, random)
    picture += random.normal(0, 6, picture.shape)
    return np.clip(picture, 0, 255).astype(np.uint8)


def ground(random: np.random.Generator) -> np.ndarray:
    """A pale, uneven ground: float64 [240, 320, 3]."""
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH] / HEIGHT
    waves = sum(
        np.sin(2 * np.pi * (y * random.uniform(0, 2) + x * random.uniform(0, 2)) + random.uniform(0, 6))
        for _ in range(3)
    )
    return random.uniform(190, 230, 3) + 6 * waves[..., None]


def draw(picture: np.ndarray, thing: Thing, random: np.random.Generator) -> None:
    """Blend a thing into the picture, with a soft edge; a ring has a hole, a disc is paler in its middle."""
    label, centre, radii, _ = thing
    _, _, _, colour, opacity = KINDS[label]
    top, left = np.maximum(np.floor(centre - radii), 0).astype(int)
    patch = picture[top : int(centre[0] + radii[0]) + 1, left : int(centre[1] + radii[1]) + 1]
    y, x = np.mgrid[top : top + patch.shape[0], left : left + patch.shape[1]]
    distance = np.hypot((y - centre[0]) / radii[0], (x - centre[1]) / radii[1])
    softness = 1.5 / radii.mean()
    cover = np.clip((1 - distance) / softness, 0, 1) * opacity
    if label == "ring":
        cover *= np.clip((distance - 0.6) / softness, 0.15, 1)
    if label == "disc":
        cover *= np.clip(0.55 + distance, 0, 1)
    tinted = np.array(colour) * random.uniform(0.85, 1.15) + random.uniform(-15, 15, 3)
    patch += cover[..., None] * (tinted - patch)
