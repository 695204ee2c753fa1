"""Prints how long the default pipeline takes: from nothing, with nothing to do, and after `-S quant=int8`."""

import statistics
import tempfile
from pathlib import Path

from benchmarks.clone import SHORT, Repository, clone, row

ROUNDS = 1 if SHORT else 5


def of_true(folder: Path) -> Repository:
    """A six-stage DVC pipeline in which each stage does nothing but make an empty file."""
    other = Repository(folder)
    chain = ["stages:"]
    for index in range(6):
        dep = f"    deps: [out{index - 1}]\n" if index else ""
        chain.append(f"  s{index}:\n    cmd: touch out{index}\n{dep}    outs: [out{index}]")
    folder.mkdir()
    (folder / "dvc.yaml").write_text("\n".join(chain) + "\n")
    for words in (["git", "init", "--quiet"], ["dvc", "init", "--quiet"], ["dvc", "repro", "--quiet"]):
        other.run(*words)
    return other


def main() -> None:
    with clone() as here, tempfile.TemporaryDirectory() as temporary:
        seconds = here.run("dvc", "repro")
        row("`dvc repro` from nothing, default task", "under 6 min", f"{seconds / 60:.1f} min")
        for words in (["add", "."], ["commit", "--quiet", "-m", "A run"]):
            here.run("git", *words)
        true = of_true(Path(temporary, "true"))
        pairs = [(here.run("dvc", "repro", "-q"), true.run("dvc", "repro", "-q")) for _ in range(ROUNDS)]
        ratio = statistics.median(ours / theirs for ours, theirs in pairs)
        row("`dvc repro` with nothing to do / six stages of `true`", "at most 1.3", f"{ratio:.2f}")
        seconds = here.run("dvc", "exp", "run", "-S", "quant=int8")
        row("`dvc exp run -S quant=int8` to new metrics", "under 25 s", f"{seconds:.1f} s")


if __name__ == "__main__":
    main()
