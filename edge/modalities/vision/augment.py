"""Training pictures changed at random: turned, zoomed, shifted, mirrored, brighter or darker."""

import tensorflow as tf


class Pictures:
    """Changes a batch of pictures by one projective transform each, and their colours by a gain and an offset.

    ``config`` has rotation (radians), zoom and shift (shares of the side), gain (a share, drawn for each channel),
    offset (steps of 0…255) and mirror. Called as (x, y, seed): x float32 [batch, height, width, channels] in 0…255,
    seed int32 [2]; equal seeds give equal pictures. What comes in from outside is the picture's edge.
    """

    def __init__(self, config):
        self.config = config

    def __call__(self, x, y, seed):
        config = self.config
        batch, height, width, channels = x.shape
        draws = tf.random.stateless_uniform((batch, 6 + channels), seed, -1.0)
        turn, zoom, down, right, flip, lift = tf.unstack(draws[:, :6], axis=1)
        zoom = 1 + config.zoom * zoom
        flip = tf.where(flip > 0, 1.0, -1.0) if config.mirror else tf.ones_like(flip)
        cosine, sine = tf.cos(config.rotation * turn) * zoom, tf.sin(config.rotation * turn) * zoom
        middle_y, middle_x = (height - 1) / 2, (width - 1) / 2
        # an output point (x, y) shows the input point (a x + b y + c, d x + e y + f)
        a, b, d, e = cosine * flip, -sine, sine * flip, cosine
        c = middle_x - a * middle_x - b * middle_y + config.shift * width * right
        f = middle_y - d * middle_x - e * middle_y + config.shift * height * down
        zero = tf.zeros_like(a)
        x = tf.raw_ops.ImageProjectiveTransformV3(
            images=x,
            transforms=tf.stack([a, b, c, d, e, f, zero, zero], axis=1),
            output_shape=(height, width),
            fill_value=0.0,
            interpolation="BILINEAR",
            fill_mode="NEAREST",
        )
        gain = 1 + config.gain * draws[:, None, None, 6:]
        return tf.clip_by_value(x * gain + config.offset * lift[:, None, None, None], 0.0, 255.0), y
