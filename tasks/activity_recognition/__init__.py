"""Activity recognition: what a person does, from the axes of a worn sensor or from the points of a pose."""

from pathlib import Path

import numpy as np

from edge import heads
from edge.data.shards import Spec
from tasks import Task
from tasks.activity_recognition.settings import Collect, Preprocess, Train, check


def generated(config: Collect, out: Path, seed: int) -> None:
    """Five motions of several people, generated."""
    from edge.modalities.series import collection

    collection.motion(config.generated, out, seed)


def smartphone_activity(config: Collect, out: Path, seed: int) -> None:
    """Fourteen people with a phone in the pocket."""
    from edge.modalities.series import collection

    collection.phone(config.limits, out)


def csv(config: Collect, out: Path, seed: int) -> None:
    """One's own recordings, subject/recording.csv."""
    from edge.modalities.series import collection, table

    own = config.csv
    layout = table.Layout(time=own.time, seconds=own.seconds, sensors=own.sensors, label=own.label, group=None)
    collection.files(own.path, layout, config.limits, out)


def poses(config: Collect, out: Path, seed: int) -> None:
    """The coordinates that commands.poses writes."""
    from edge.modalities.series import collection

    collection.pose_table(config.poses.path, config.limits, out)


class ActivityRecognition(Task):
    """What a person does: windows int16 [rows, columns] of axes or coordinates to labels."""

    head = heads.Classification(headline="macro_f1")
    Collect, Preprocess, Train = Collect, Preprocess, Train

    def check(self, config) -> None:
        """Refuse sections that do not fit each other, such as turns of a sensor that has one axis."""
        check(config)

    def sources(self) -> dict:
        """Sources by name: callables (config, folder, seed) that fill the folder."""
        return {"generated": generated, "smartphone_activity": smartphone_activity, "csv": csv, "poses": poses}

    def prepare(self, raw: Path, out: Path, config: Preprocess, seed: int) -> dict:
        """Write shards of int16 [n, rows, columns], spec.json and the report; returns counts. Nothing is random."""
        from tasks.activity_recognition import preparation

        return preparation.prepare(raw, out, config)

    def build(self, config: Train, spec: Spec, seed: int):
        """A Keras model: windows in the units of the recordings, float32 [batch, rows, columns] -> logits."""
        import keras

        from edge.modalities.series.augment import Figure
        from edge.models.networks.series import CLASSIFIERS

        window = keras.Input(spec.input.shape, name=spec.input.name)
        if spec.metadata["poses"]:
            features = Figure(name="features")(window)
        else:
            scales = [1 / spread for spread in spec.metadata["spread"]]
            features = keras.layers.Rescaling(scales, name="features")(window)
        network = CLASSIFIERS[config.architecture]
        return keras.Model(window, network(features, len(spec.labels), config.width, config.dropout))

    def augment(self, config: Train, spec: Spec, seed: int):
        """Half turns of the sensors, or mirrored poses; None where the config says so."""
        from edge.modalities.series import augment

        if not config.orientations:
            return None
        return augment.mirrored if spec.metadata["poses"] else augment.Orientations(spec.metadata["sensors"])

    def layers(self) -> dict:
        """The scaling of poses."""
        from edge.modalities.series.augment import Figure

        return {"edge>Figure": Figure}

    def example(self, row: np.ndarray, spec: Spec, out: Path) -> None:
        """Files that show one stored window, int16 [rows, columns], to a person: its curves."""
        from edge.modalities.series import picture

        picture.curves(row * spec.input.scale, spec.metadata["rate"], spec.metadata["sensors"], out / "curves.png")


TASK = ActivityRecognition()
