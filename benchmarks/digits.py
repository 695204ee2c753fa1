"""Prints the accuracy of cnn, lenet and dense on scikit-learn's handwritten digits, fp32 and int8."""

import itertools

from benchmarks.clone import SHORT, clone, row

SETTINGS = {"cnn": {}, "lenet": {"train__width": 32}, "dense": {"train__width": 256, "train__epochs": 80}}


def main() -> None:
    with clone() as here:
        here.set("params.yaml", task="image_classification")
        for architecture, settings in itertools.islice(SETTINGS.items(), 1 if SHORT else None):
            here.set("configs/image_classification.yaml", train__architecture=architecture, **settings)
            here.set("params.yaml", quant="fp32")
            here.run("dvc", "repro")
            fp32 = here.accuracy("devices/local")
            here.set("params.yaml", quant="int8")
            here.run("dvc", "repro")
            int8 = here.accuracy("devices/local")
            row(f"handwritten digits, {architecture}, fp32 and int8", "at least 98 %", f"{fp32:.1%}, {int8:.1%}")


if __name__ == "__main__":
    main()
