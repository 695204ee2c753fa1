"""Forecasting: the next values of a series from the last ones."""

from pathlib import Path

import numpy as np
import pandas as pd

from edge import heads
from edge.data.shards import Spec
from tasks import Task
from tasks.forecasting.settings import Collect, Preprocess, Train


def generated(config: Collect, out: Path, seed: int) -> None:
    """A load with a day of 24 steps and a week of 168."""
    from edge.modalities.series import collection
    from edge.modalities.series.generated import seasons
    from edge.modalities.series.table import Layout

    text = pd.DataFrame({"load": seasons(config.generated.rows, seed)}).to_csv(index=False, float_format="%.5f")
    layout = Layout(time=None, seconds=1.0, sensors=[["load"]], label=None, group=None)
    collection.store(out, layout, [("generated.csv", "", text.encode())], {})


def csv(config: Collect, out: Path, seed: int) -> None:
    """A column of one's own csv file."""
    from edge.modalities.series import collection
    from edge.modalities.series.table import Layout

    own = config.csv
    layout = Layout(time=own.time, seconds=own.seconds, sensors=[[own.column]], label=None, group=None)
    collection.one_file(own.path, layout, config.file_mb, out)


class Forecasting(Task):
    """The next values of a series: int16 [past] to float32 [horizon]."""

    head = heads.Regression()
    Collect, Preprocess, Train = Collect, Preprocess, Train

    def sources(self) -> dict:
        """Sources by name: callables (config, folder, seed) that fill the folder."""
        return {"generated": generated, "csv": csv}

    def prepare(self, raw: Path, out: Path, config: Preprocess, seed: int) -> dict:
        """Write shards of int16 [n, past], spec.json and the report; returns counts. Nothing in it is random."""
        from tasks.forecasting import preparation

        return preparation.prepare(raw, out, config)

    def build(self, config: Train, spec: Spec, seed: int):
        """A Keras model: values in the units of the series, float32 [batch, past] -> logits [batch, horizon]."""
        import keras

        from edge.models.networks import series

        mean, std = spec.metadata["target_mean"], spec.metadata["target_std"]
        values = keras.Input(spec.input.shape, name=spec.input.name)
        features = keras.layers.Rescaling(1 / std, -mean / std, name="features")(values)
        return keras.Model(values, series.forecast(features, spec.output.shape[0], config.architecture, config.width))

    def example(self, row: np.ndarray, spec: Spec, out: Path) -> None:
        """Files that show the stored values of one example, int16 [past], to a person: their curve."""
        from edge.modalities.series import picture

        rate = 1 / spec.metadata["seconds_a_step"]
        picture.curves((row * spec.input.scale)[:, None], rate, [1], out / "curve.png")


TASK = Forecasting()
