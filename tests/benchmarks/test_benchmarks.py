"""Every benchmark runs to its end, in a short form, and `python -m benchmarks` writes the table."""

import subprocess
import sys
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from benchmarks import __main__ as bench
from benchmarks.clone import change
from edge.core.errors import UserError
from tests.conftest import PARTS, Project, copy_project

SHORT = {"EDGE_BENCH": "short"}
RESULTS = f"# Results\n\n{bench.START} -->\n\nold\n\n<!-- {bench.END}\n\nText that stays.\n"


@pytest.fixture(scope="module")
def project(tmp_path_factory) -> Project:
    """All code of the project, with settings that make every run short; the task is the toy."""
    project = copy_project(tmp_path_factory.mktemp("bench"), (*PARTS, "benchmarks", "tests"))
    change(project.folder / "params.yaml", task="toy")
    for task in ("toy", "keyword_spotting", "image_classification", "object_detection"):
        change(project.folder / f"configs/{task}.yaml", train__epochs=1, evaluate_on_device__runs=6)
    (project.folder / "docs").mkdir()
    (project.folder / "docs/results.md").write_text(RESULTS)
    commit(project)
    return project


def commit(project: Project) -> None:
    project.ok("git", "add", ".")
    project.ok("git", "commit", "--quiet", "-m", "Short runs")


@pytest.fixture(scope="module")
def runs(project) -> dict[str, Future]:
    """A run of each benchmark, two at a time."""
    with ThreadPoolExecutor(2) as pool:
        yield {
            name: pool.submit(project.run, sys.executable, "-m", f"benchmarks.{name}", **SHORT) for name in bench.NAMES
        }


@pytest.mark.parametrize("name", bench.NAMES)
def test_a_benchmark_prints_its_rows(runs, name):
    """The benchmark ends well and prints rows of three cells, none of them empty."""
    run: subprocess.CompletedProcess = runs[name].result()
    assert run.returncode == 0, run.stdout + run.stderr
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in run.stdout.splitlines()]
    assert rows
    assert all(len(row) == 3 and all(row) for row in rows), run.stdout
    if missing := [measured for _, _, measured in rows if measured.startswith("skipped: ")]:
        pytest.skip(f"PART OF THE BENCHMARK {name} DID NOT RUN: {'; '.join(missing)}")


@pytest.fixture
def two(project):
    """The project with two benchmarks in place of all, one of which fails after its first row; committed."""
    scripts = {path: path.read_text() for path in (project.folder / "benchmarks").glob("*.py")}
    for path in scripts:
        if path.name not in ("__init__.py", "__main__.py", "clone.py"):
            path.unlink()
    good = 'from benchmarks.clone import row\nrow("speed", "at least 1", "2")\n'
    (project.folder / "benchmarks/good.py").write_text(good)
    (project.folder / "benchmarks/bad.py").write_text(good + 'raise ValueError("it | broke")\n')
    commit(project)
    yield project
    for path, text in scripts.items():
        path.write_text(text)
    for name in ("good", "bad"):
        (project.folder / f"benchmarks/{name}.py").unlink()
    (project.folder / "docs/results.md").write_text(RESULTS)
    commit(project)


def test_the_table_is_written_and_a_failure_is_a_row(two):
    """The table replaces what is between the comments; a failing benchmark is a row and does not end the others."""
    result = two.run(sys.executable, "-m", "benchmarks")
    text = (two.folder / "docs/results.md").read_text()
    assert result.returncode == 1
    assert result.stderr.splitlines()[-1] == "error: failed: bad"
    assert text.startswith(f"# Results\n\n{bench.START} -->\n\nCommit ")
    assert text.endswith(f"<!-- {bench.END}\n\nText that stays.\n")
    assert two.ok("git", "rev-parse", "--short", "HEAD").strip() in text
    assert [line for line in text.splitlines() if line.startswith("| ")][1:] == [
        "| speed | at least 1 | 2 | bad |",
        "| bad | | failed: ValueError: it / broke | bad |",
        "| speed | at least 1 | 2 | good |",
    ]


def test_a_tree_that_differs_from_its_commit_is_refused(two):
    """A changed source file is named and nothing runs; what the pipeline writes may differ."""
    (two.folder / "docs/results.md").write_text(RESULTS + "More.\n")
    with (two.folder / "devices.yaml").open("a") as file:
        file.write("\n")
    result = two.run(sys.executable, "-m", "benchmarks")
    two.ok("git", "checkout", "devices.yaml")
    assert result.returncode == 1
    assert not result.stdout
    assert result.stderr.startswith("error: devices.yaml differ")
    assert len(result.stderr.splitlines()) == 1


def test_some_benchmarks_are_printed_only(two):
    """With --only the rows of the named benchmarks are printed and the file stays as it is."""
    before = (two.folder / "docs/results.md").read_text()
    assert "| speed | at least 1 | 2 | good |" in two.ok(sys.executable, "-m", "benchmarks", "--only", "good")
    assert (two.folder / "docs/results.md").read_text() == before


def test_a_file_without_the_comments_is_left_alone(tmp_path):
    """Where the place of the table is not marked, an error says so and the file stays as it is."""
    (tmp_path / "results.md").write_text("# Results\n")
    with pytest.raises(UserError, match="lacks one of the two comments"):
        bench.write(tmp_path / "results.md", "", [])
    assert (tmp_path / "results.md").read_text() == "# Results\n"


def test_the_text_around_the_table_stays(tmp_path):
    """docs/results.md marks where the table goes: another table changes nothing before and after that."""
    before = bench.RESULTS.read_text()
    (tmp_path / "results.md").write_text(before)
    bench.write(tmp_path / "results.md", "Header.", ["| a | b | c | d |"])
    after = (tmp_path / "results.md").read_text()
    assert "Header." in after
    assert after.partition(bench.START)[0] == before.partition(bench.START)[0]
    assert after.partition(bench.END)[2] == before.partition(bench.END)[2]
