"""Prints mAP at IoU 0.5 and bytes of the detector on blood cells, fp32 and int8, on the collection's own test list.

Needs the archive in the folder that EDGE_DATA_MIRROR names. The short form takes drawn scenes in its place.
"""

import os

from benchmarks.clone import SHORT, clone, row

CONFIG = "configs/object_detection.yaml"
BCCD = {"collect__source": "bccd", "preprocess__size": [240, 320]}
SHRUNK = {"collect__scenes__pictures": 120, "train__epochs": 1}


def main() -> None:
    name = "blood cells (BCCD), 240 x 320"
    if not SHORT and "EDGE_DATA_MIRROR" not in os.environ:
        row(f"{name}, mAP at IoU 0.5", "at least 0.86", "skipped: EDGE_DATA_MIRROR names no folder with archives")
        return
    with clone() as here:
        here.set("params.yaml", task="object_detection", quant="fp32")
        here.set(CONFIG, **SHRUNK if SHORT else BCCD)
        here.run("dvc", "repro", "preprocess")
        minutes = here.run("dvc", "repro", "train") / 60
        here.run("dvc", "repro", "quantize")
        pictures, fp32 = here.metrics("data")["test"], here.metrics("quantize")
        here.set("params.yaml", quant="int8")
        here.run("dvc", "repro", "quantize")
        int8 = here.metrics("quantize")
        row(f"{name}, {pictures} test pictures, fp32", "mAP@.5 at least 0.86", told(fp32))
        row(f"{name}, int8", "within 1 point", told(int8))
        row(
            f"{name}, bytes",
            "at most 2 MB and 0.7 MB",
            f"{fp32['bytes'] / 1e6:.2f} MB and {int8['bytes'] / 1e6:.2f} MB",
        )
        row(f"{name}, time of training", "under 20 min", f"{minutes:.1f} min")


def told(metrics: dict) -> str:
    """Both averages of a model."""
    return f"mAP@.5 {metrics['scores']['map50']:.3f}, mAP@[.5:.95] {metrics['scores']['map50_95']:.3f}"


if __name__ == "__main__":
    main()
