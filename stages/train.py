"""Train: reads data/prepared, writes models/model.keras, metrics/train.json and the plots of training."""

from pathlib import Path

import pandas as pd

import tasks
from edge.core import errors, files, paths
from edge.data import shards


def train(task, config, prepared: Path, seed: int):
    """Train a model on the train split, choose by the val split, score the test split.

    Returns the Keras model, its metrics, the learning curves (one row an epoch) and the test predictions
    (columns ``actual`` and ``predicted``).
    """
    from edge.models import keras_file, training  # TensorFlow: imported once the settings are known to be right

    spec = shards.load_spec(prepared)
    train_split, val, test = (shards.load(prepared, name) for name in ("train", "val", "test"))
    training.deterministic(seed, config.threads)
    model = task.build(config, spec, seed)
    objective, augment = task.head.objective(config, spec), task.augment(config, spec, seed)
    history = training.fit(model, train_split, val, config, seed, objective, augment)
    curves = pd.DataFrame(history).rename_axis("epoch").reset_index()
    model = task.head.finish(model, config, spec)
    outputs = keras_file.predict(model, test)
    metrics = {
        "test": task.head.score(test.y, outputs),
        "val": task.head.score(val.y, keras_file.predict(model, val)),
        "parameters": model.count_params(),
        "epochs": len(curves),
    }
    return model, metrics, curves, task.head.answers(test.y, outputs, spec)[["actual", "predicted"]]


def main() -> None:
    params, task, config = tasks.selected()
    from edge.models import keras_file

    model, metrics, curves, predicted = train(task, config.train, paths.PREPARED, params.seed)
    keras_file.save(model, paths.KERAS)
    files.write_json(paths.METRICS / "train.json", metrics)
    with files.atomic(paths.CURVES) as path:
        curves.to_csv(path, index=False, float_format="%.6g")
    with files.atomic(paths.CONFUSION) as path:
        predicted.to_csv(path, index=False)


if __name__ == "__main__":
    errors.run(main)
