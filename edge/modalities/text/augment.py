"""Changes of a batch of word indices inside tf.data."""

from collections.abc import Callable

from edge.modalities.text.words import Words


def word_dropout(share: float, metadata: dict) -> Callable | None:
    """A callable (x, y, seed): each word becomes the unknown word with the probability ``share`` (Iyyer et al. 2015).

    ``x`` float32 [batch, length] indices; ``seed`` int32 [2]; ``metadata`` are those of the Spec. None where the
    share is 0.
    """
    import tensorflow as tf

    words = Words(metadata)

    def drop(x, y, seed):
        dropped = (tf.random.stateless_uniform(tf.shape(x), seed) < share) & (x >= words.first)
        return tf.where(dropped, tf.constant(words.unknown, x.dtype), x), y

    return drop if share else None
