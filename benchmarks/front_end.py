"""Prints the time of raw waveform to scores as a ratio to the classifier alone: ONNX Runtime, one thread, one clip.

`python -m benchmarks.front_end [model.onnx]`; without a model, the default one, not trained.
"""

import statistics
import sys
import tempfile
from pathlib import Path
from time import perf_counter_ns

import numpy as np
import onnx
import onnx.utils

from benchmarks.clone import SHORT, row, untrained
from edge.models.formats import onnx_file

ROUNDS, RUNS = (2, 5) if SHORT else (20, 100)


def median_ns(session, feed: dict) -> float:
    """Median of RUNS inferences."""
    times = []
    for _ in range(RUNS):
        start = perf_counter_ns()
        session.run(None, feed)
        times.append(perf_counter_ns() - start)
    return statistics.median(times)


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(sys.argv[1]) if len(sys.argv) > 1 else untrained(Path(folder, "model.onnx"))
        model = onnx.load(path)
        entry = model.graph.input[0]
        waveform = np.random.default_rng(0).normal(size=(1, entry.type.tensor_type.shape.dim[1].dim_value)) / 10
        front, classifier = Path(folder, "front.onnx"), Path(folder, "classifier.onnx")
        extractor = onnx.utils.Extractor(model)
        onnx.save(extractor.extract_model([entry.name], ["features"]), front)
        onnx.save(extractor.extract_model(["features"], [model.graph.output[0].name]), classifier)
        whole, alone = onnx_file.session(path, 1), onnx_file.session(classifier, 1)
        raw = {entry.name: waveform.astype(np.float32)}
        features = {"features": onnx_file.session(front, 1).run(None, raw)[0]}
        pairs = [(median_ns(whole, raw), median_ns(alone, features)) for _ in range(ROUNDS)]
    ratio = statistics.median(ours / theirs for ours, theirs in pairs)
    absolute = f"{pairs[0][0] / 1e6:.2f} ms / {pairs[0][1] / 1e6:.2f} ms"
    row("raw waveform to scores / classifier alone, one thread", "at most 2", f"{ratio:.2f} ({absolute})")


if __name__ == "__main__":
    main()
