"""Training: one loop for every task, deterministic on one machine."""

import math
import sys
from collections.abc import Callable, Iterator

import keras
import numpy as np
import tensorflow as tf

from edge.core.errors import UserError
from edge.core.settings import Recipe
from edge.data.shards import Split


def fit(
    model: keras.Model, train: Split, val: Split, cfg: Recipe, seed: int, augment: Callable | None = None
) -> dict[str, list[float]]:
    """Train ``model`` (inputs -> logits) in place; returns the history of loss and accuracy per epoch.

    ``augment(x, y, seed)`` changes a batch inside tf.data. The weights of the lowest validation loss are kept. Call
    ``deterministic`` before building the model. Raises UserError where the loss is not finite.
    """
    classes = model.output_shape[-1]
    batch = min(cfg.batch, len(train))
    steps = len(train) // batch
    total = steps * cfg.epochs
    warmup = int(cfg.warmup * total)
    rate = keras.optimizers.schedules.CosineDecay(
        0.0 if warmup else cfg.learning_rate,
        max(1, total - warmup),
        warmup_target=cfg.learning_rate if warmup else None,
        warmup_steps=warmup,
    )
    optimizer = keras.optimizers.AdamW(rate, weight_decay=cfg.weight_decay)
    optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
    model.compile(
        optimizer,
        keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=cfg.label_smoothing),
        metrics=[keras.metrics.CategoricalAccuracy("accuracy")],
    )
    history = model.fit(
        _batches(train, batch, classes, seed, augment),
        epochs=cfg.epochs,
        steps_per_epoch=steps,
        shuffle=False,
        verbose=1 if sys.stdout.isatty() else 2,  # a bar for a person, a line an epoch for a log
        validation_data=_in_order(val, cfg.batch, classes),
        callbacks=[
            _Finite(),
            keras.callbacks.EarlyStopping("val_loss", patience=cfg.patience, restore_best_weights=True),
        ],
    )
    return {key: [float(value) for value in values] for key, values in history.history.items()}


def deterministic(seed: int) -> None:
    """Seed every generator and choose operations that give the same bytes twice on one machine."""
    keras.utils.set_random_seed(seed)
    tf.config.experimental.enable_op_determinism()


def with_scores(model: keras.Model) -> keras.Model:
    """The model as users run it: its output ``scores``, float32 [batch, labels], are probabilities."""
    return keras.Model(model.input, keras.layers.Softmax(name="scores")(model.output))


class _Finite(keras.callbacks.Callback):
    """Stops with one line when the loss is not a number."""

    def on_train_batch_end(self, batch, logs=None):
        if not math.isfinite(logs["loss"]):
            raise UserError("training diverged, the loss is not finite: lower train.learning_rate in the config")


def _batches(split: Split, batch: int, classes: int, seed: int, augment: Callable | None) -> tf.data.Dataset:
    """Shuffled batches without end: each epoch its own order, each step its own seed."""

    def rows() -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
        step = epoch = 0
        while True:
            order = np.random.default_rng((seed, epoch)).permutation(len(split))
            for start in range(0, len(order) - batch + 1, batch):
                chosen = np.sort(order[start : start + batch])
                yield split.x[chosen], split.y[chosen], np.array((seed, step), np.int32)
                step += 1
            epoch += 1

    signature = (
        tf.TensorSpec((batch, *split.x.shape[1:]), split.x.dtype),
        tf.TensorSpec((batch,), split.y.dtype),
        tf.TensorSpec((2,), tf.int32),
    )

    def prepare(x, y, step):
        x, y = tf.cast(x, tf.float32) * split.scale, tf.one_hot(y, classes)
        return augment(x, y, step) if augment else (x, y)

    batches = tf.data.Dataset.from_generator(rows, output_signature=signature).map(prepare).prefetch(2)
    return batches.apply(tf.data.experimental.assert_cardinality(tf.data.INFINITE_CARDINALITY))


def _in_order(split: Split, batch: int, classes: int) -> tf.data.Dataset:
    """Every example once, in order."""

    def rows() -> Iterator[tuple[np.ndarray, np.ndarray]]:
        for start in range(0, len(split), batch):
            chosen = slice(start, start + batch)
            yield split.inputs(chosen), np.eye(classes, dtype=np.float32)[split.y[chosen]]

    signature = (tf.TensorSpec((None, *split.x.shape[1:])), tf.TensorSpec((None, classes)))
    batches = tf.data.Dataset.from_generator(rows, output_signature=signature).prefetch(2)
    return batches.apply(tf.data.experimental.assert_cardinality(-(-len(split) // batch)))
