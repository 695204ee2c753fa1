"""Train: reads data/prepared, writes models/model.keras, models/decision.json, metrics/train.json and plots."""

from pathlib import Path

import pandas as pd

import tasks
from edge.core import errors, files, paths
from edge.data import shards


def train(task, config, prepared: Path, seed: int):
    """Train a model on the train split, choose by the val split, score the test split.

    Returns the Keras model, its metrics, the learning curves (one row an epoch), its outputs for the test split and the
    task's decision.
    """
    from edge.models import keras_file, training  # TensorFlow: imported once the settings are known to be right

    spec = shards.load_spec(prepared)
    train_split, val, test = (shards.load(prepared, name) for name in ("train", "val", "test"))
    training.deterministic(seed, config.threads)
    model = task.build(config, spec, seed)
    augment = task.augment(config, spec, seed)

    def history(recipe) -> pd.DataFrame:
        objective = task.head.objective(recipe, spec)
        return pd.DataFrame(training.fit(model, train_split, val, recipe, seed, objective, augment))

    histories = [history(config)]
    if recipe := task.fine_tune(model, config):
        histories.append(history(recipe))
    curves = pd.concat(histories, ignore_index=True).rename_axis("epoch").reset_index()
    model = task.head.finish(model, config, spec)
    outputs = keras_file.predict(model, test)
    metrics = {
        "test": task.head.score(test.y, outputs),
        "val": task.head.score(val.y, keras_file.predict(model, val)),
        "parameters": model.count_params(),
        "epochs": len(curves),
    }
    decision = task.decide(model.predict_on_batch, prepared, config, spec, seed)
    return model, metrics | decision.metrics, curves, outputs, decision


def main() -> None:
    params, task, config = tasks.selected()
    from edge.models import keras_file

    model, metrics, curves, outputs, decision = train(task, config.train, paths.PREPARED, params.seed)
    spec, test = shards.load_spec(paths.PREPARED), shards.load(paths.PREPARED, "test")
    predicted = task.head.answers(test.y, outputs, spec)[["actual", "predicted"]]
    keras_file.save(model, paths.KERAS)
    files.write_json(paths.METRICS / "train.json", metrics)
    files.write_json(paths.DECISION, decision.metadata)
    for target, table in {paths.CURVES: curves, paths.CONFUSION: predicted, paths.DET: decision.det}.items():
        with files.atomic(target) as path:
            table.to_csv(path, index=False, float_format="%.6g")
    with files.atomic(paths.ANSWERS) as folder:
        folder.mkdir()
        tasks.pictures(task.head, task.answer, test, spec, folder, outputs)


if __name__ == "__main__":
    errors.run(main)
