"""Prints the accuracy of lenet and dense on scikit-learn's handwritten digits, fp32 and int8."""

from benchmarks.clone import SHORT, clone, row

WIDTHS = {"lenet": 32} if SHORT else {"lenet": 32, "dense": 256}


def main() -> None:
    with clone() as here:
        here.set("params.yaml", task="image_classification")
        for architecture, width in WIDTHS.items():
            here.set("configs/image_classification.yaml", train__architecture=architecture, train__width=width)
            here.set("params.yaml", quant="fp32")
            here.run("dvc", "repro")
            fp32 = here.accuracy("devices/local")
            here.set("params.yaml", quant="int8")
            here.run("dvc", "repro")
            int8 = here.accuracy("devices/local")
            row(f"handwritten digits, {architecture}, fp32 and int8", "at least 98 %", f"{fp32:.1%}, {int8:.1%}")


if __name__ == "__main__":
    main()
