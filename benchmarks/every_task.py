"""Prints for each task and scheme what the default gives: score, bytes, instructions on the emulated Pi 4, training.

The short form runs one task in two schemes on this machine, which counts no instructions.
"""

import yaml

import tasks
from benchmarks.clone import ROOT, SHORT, Clone, clone, row

SCHEMES = ("fp32", "int8") if SHORT else ("fp32", "fp16", "int8", "int8_dynamic")
NAMES = ["image_classification"] if SHORT else tasks.names()
EXAMPLES = 50  # that the emulated board computes; the score is that of the whole test split


def run(here: Clone, name: str) -> None:
    """Print a row for each scheme of the task ``name``."""
    config = f"configs/{name}.yaml"
    here.set("params.yaml", task=name, quant="fp32", device="local" if SHORT else "emulated-pi4")
    here.set(config, evaluate_on_device__examples=EXAMPLES)
    here.run("dvc", "repro", "preprocess")
    minutes = here.run("dvc", "repro", "train") / 60
    least = yaml.safe_load((ROOT / config).read_text(encoding="utf-8"))["budget"]["score"]
    headline = tasks.load(name).head.headline
    for scheme in SCHEMES:
        here.set("params.yaml", quant=scheme)
        here.run("dvc", "repro")
        quantized = here.metrics("quantize")
        counted = here.metrics("devices/local" if SHORT else "devices/emulated-pi4").get("instructions")
        measured = f"{headline} {quantized['scores'][headline]:.4f}, {quantized['bytes']:,} bytes, "
        measured += f"{counted['candidate'] / 1e6:.3g} M instructions" if counted else "instructions not counted"
        trained = f", {minutes:.1f} min of training" if scheme == "fp32" else ""
        row(f"{name}, default, {scheme}", f"{headline} at least {least}", measured + trained)


def main() -> None:
    with clone() as here:
        for name in NAMES:
            run(here, name)


if __name__ == "__main__":
    main()
