"""Changes of pictures in training that move their boxes with them, in TensorFlow."""

import tensorflow as tf

GREY = 127.0  # beside a picture that was made smaller
SEEN = 0.3  # least share of a box that must be left for it to count


def augmented(x, y, seed, config):
    """Change a batch: pixels 0…255 [n, height, width, 3] and boxes [n, most, 5]; ``seed`` int32 [2] decides all.

    A window of 1 - ``config.zoom`` to 1 + ``config.zoom`` of the picture's sides becomes the whole picture; it is
    mirrored left to right and upside down; each channel is multiplied by 1 - ``config.colour`` to 1 + it.
    """
    count = tf.shape(x)[0]

    def uniform(purpose: int, columns: int, low: float, high: float):
        return tf.random.stateless_uniform((count, columns), seed + [0, purpose << 24], low, high)

    side = uniform(1, 1, 1 - config.zoom, 1 + config.zoom)
    start = uniform(2, 2, 0.0, 1.0) * (1 - side)
    window = tf.concat([start, start + side], axis=1)
    mirrored = uniform(3, 2, 0.0, 1.0) < (0.5 if config.mirror else 0.0)
    flip = tf.tile(mirrored, [1, 2])
    turned = tf.where(flip, tf.concat([start + side, start], axis=1), window)
    x = tf.image.crop_and_resize(x, turned, tf.range(count), tf.shape(x)[1:3], extrapolation_value=GREY)
    x = x * uniform(4, 3, 1 - config.colour, 1 + config.colour)[:, None, None]
    return tf.clip_by_value(x, 0.0, 255.0), moved(y, start, side, flip)


def moved(y, start, side, flip):
    """Boxes [n, most, 5] as seen in a window: from ``start`` [n, 2], ``side`` [n, 1] long, mirrored where ``flip``."""
    corners = (y[..., :4] - tf.tile(start, [1, 2])[:, None]) / side[:, None]
    corners = tf.where(flip[:, None], 1 - tf.concat([corners[..., 2:], corners[..., :2]], axis=2), corners)
    inside = tf.clip_by_value(corners, 0.0, 1.0)
    left = area(inside) >= SEEN * area(corners)
    real = (y[..., 4] >= 0) & left & (area(inside) > 0)
    return tf.where(real[..., None], tf.concat([inside, y[..., 4:]], axis=2), -tf.ones_like(y))


def area(boxes):
    """Height times width of boxes y0 x0 y1 x1 [..., 4]."""
    return (boxes[..., 2] - boxes[..., 0]) * (boxes[..., 3] - boxes[..., 1])
