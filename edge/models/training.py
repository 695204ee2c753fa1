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
from edge.heads import Objective


def fit(
    model: keras.Model,
    train: Split,
    val: Split,
    config: Recipe,
    seed: int,
    objective: Objective,
    augment: Callable | None = None,
) -> dict[str, list[float]]:
    """Train ``model`` (inputs -> logits) in place; returns the history of loss and score per epoch.

    ``objective`` is the head's; ``augment(x, y, seed)`` changes a batch inside tf.data before its targets are made. The
    weights of the lowest validation loss are kept. Call ``deterministic`` before building the model. Raises UserError
    where the loss is not finite.
    """
    batch = min(config.batch, len(train))
    steps = len(train) // batch
    total = steps * config.epochs
    warmup = int(config.warmup * total)
    rate = keras.optimizers.schedules.CosineDecay(
        0.0 if warmup else config.learning_rate,
        max(1, total - warmup),
        warmup_target=config.learning_rate if warmup else None,
        warmup_steps=warmup,
    )
    optimizer = keras.optimizers.AdamW(rate, weight_decay=config.weight_decay)
    optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
    model.compile(optimizer, objective.loss, metrics=objective.metrics)
    history = model.fit(
        _batches(train, batch, seed, objective.targets, augment),
        epochs=config.epochs,
        steps_per_epoch=steps,
        shuffle=False,
        verbose=1 if sys.stdout.isatty() else 2,  # a bar for a person, a line an epoch for a log
        validation_data=_in_order(val, config.batch, objective.targets),
        callbacks=[
            _Finite(),
            keras.callbacks.EarlyStopping("val_loss", patience=config.patience, restore_best_weights=True),
        ],
    )
    return {key: [float(value) for value in values] for key, values in history.history.items()}


def deterministic(seed: int, threads: int | None = None) -> None:
    """Seed every generator and choose operations that give the same bytes twice on one machine.

    Sums depend on how many ``threads`` share them, so the number must not depend on the processors that a process may
    use. TensorFlow takes it only before its first operation, and raises RuntimeError afterwards.
    """
    if threads is not None:
        tf.config.threading.set_intra_op_parallelism_threads(threads)
        tf.config.threading.set_inter_op_parallelism_threads(threads)
    keras.utils.set_random_seed(seed)
    tf.config.experimental.enable_op_determinism()


class _Finite(keras.callbacks.Callback):
    """Stops with one line when the loss is not a number."""

    def on_train_batch_end(self, batch, logs=None):
        if not math.isfinite(logs["loss"]):
            raise UserError("training diverged, the loss is not finite: lower train.learning_rate in the config")


def _batches(split: Split, batch: int, seed: int, targets: Callable, augment: Callable | None) -> tf.data.Dataset:
    """Shuffled batches without end: each epoch its own order, each step its own seed."""

    def rows() -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
        step = epoch = 0
        while True:
            order = np.random.default_rng((seed, epoch)).permutation(len(split))
            for start in range(0, len(order) - batch + 1, batch):
                chosen = np.sort(order[start : start + batch])
                yield split.inputs(chosen), split.y[chosen], np.array((seed, step), np.int32)
                step += 1
            epoch += 1

    def prepare(x, y, step):
        x, y = augment(x, y, step) if augment else (x, y)
        return x, targets(y)

    signature = (*_signature(split, batch), tf.TensorSpec((2,), tf.int32))
    batches = tf.data.Dataset.from_generator(rows, output_signature=signature).map(prepare).prefetch(2)
    return batches.apply(tf.data.experimental.assert_cardinality(tf.data.INFINITE_CARDINALITY))


def _in_order(split: Split, batch: int, targets: Callable) -> tf.data.Dataset:
    """Every example once, in order."""

    def rows() -> Iterator[tuple[np.ndarray, np.ndarray]]:
        for start in range(0, len(split), batch):
            chosen = slice(start, start + batch)
            yield split.inputs(chosen), split.y[chosen]

    batches = tf.data.Dataset.from_generator(rows, output_signature=_signature(split, None))
    batches = batches.map(lambda x, y: (x, targets(y))).prefetch(2)
    return batches.apply(tf.data.experimental.assert_cardinality(-(-len(split) // batch)))


def _signature(split: Split, batch: int | None) -> tuple[tf.TensorSpec, tf.TensorSpec]:
    """What a batch of model inputs and stored y is for tf.data."""
    inputs = tf.TensorSpec((batch, *split.input.shape), split.input.dtype)
    return inputs, tf.TensorSpec((batch, *split.y.shape[1:]), split.y.dtype)
