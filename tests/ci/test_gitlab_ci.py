"""The jobs of .gitlab-ci.yml run on the toy task: merge requests, the default branch, schedules."""

import base64
import json
import re
import shutil
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import jsonschema
import pytest
import yaml

from benchmarks.clone import change
from platforms.gitlab import merge_note, openmetrics
from tests import mlflow_server
from tests.ci import gitlab_server
from tests.ci.gitlab_server import TOKEN
from tests.ci.pipeline import Pipeline, install, schema
from tests.conftest import Project
from tests.imports import ROOT
from tests.test_pipeline import ran

CHECKS = {"lint", "test", "dvc-lock"}
MEASURED = CHECKS | {"train", "measure-on-board", "gate", "report"}
TARGET = "stable;>pwned"  # a branch name that a careless script would run
SETUP = "#!/bin/sh\nmkdir -p .venv/bin\necho 'PATH=\"{}:$PATH\"' >.venv/bin/activate\n"
OTHER = ("configs/toy.yaml", {"evaluate_on_device__runs": 71})
WHO = ("-c", "user.name=Test", "-c", "user.email=test@example.org")


class Loader(yaml.SafeLoader):
    """YAML as GitLab reads it."""


Loader.add_constructor("!reference", lambda loader, node: loader.construct_sequence(node))


@pytest.fixture(scope="module")
def ci() -> dict:
    """The content of .gitlab-ci.yml."""
    return yaml.load((ROOT / ".gitlab-ci.yml").read_text(), Loader)


@pytest.fixture(scope="module")
def gitlab() -> Iterator[gitlab_server.Server]:
    """A server with the notes of one merge request, among them one of a stranger that looks like ours."""
    with gitlab_server.server() as server:
        server.add(3, "When will it be merged?")
        server.add(3, f"{merge_note.MARKER} quoted")
        yield server


class Hub:
    """The project on a server: a bare repository, DVC storage beside it, and the variables of its pipelines."""

    def __init__(self, folder: Path, gitlab: gitlab_server.Server):
        self.folder, self.repository = folder, folder / "hub.git"
        self.variables = {
            "CI_PROJECT_URL": str(self.repository).removesuffix(".git"),
            "CI_PROJECT_ID": str(gitlab_server.PROJECT),
            "CI_SERVER_URL": gitlab.url,
            "EDGE_NOTE_TOKEN": TOKEN,
            "EDGE_PUSH_TOKEN": "not asked for by a folder",
        }

    def clone(self, name: str, branch: str = "main") -> Project:
        """A fresh clone without a DVC cache."""
        project = Project(self.folder / name)
        Project(self.folder).ok("git", "clone", "--quiet", "--branch", branch, str(self.repository), name)
        return project

    def commit(self, project: Project, message: str, branch: str) -> None:
        """Commit everything in a clone and push it."""
        project.ok("git", "add", ".")
        project.ok("git", *WHO, "commit", "--quiet", "-m", message)
        project.ok("git", "push", "--quiet", "origin", f"HEAD:refs/heads/{branch}")

    def merge_request(self, name: str, **variables: str) -> Pipeline:
        """A pipeline of a merge request of the branch ``name``, checked out without a branch, as GitLab does."""
        project = self.clone(f"pipeline-{name}", name)
        project.ok("git", "checkout", "--quiet", "--detach")
        source = {
            "CI_PIPELINE_SOURCE": "merge_request_event",
            "CI_MERGE_REQUEST_IID": str(gitlab_server.MERGE_REQUEST),
            "CI_MERGE_REQUEST_TARGET_BRANCH_NAME": TARGET,
            "CI_MERGE_REQUEST_TITLE": "$(touch pwned)",
        }
        return Pipeline(project.folder, **self.variables, **source, **variables)


@pytest.fixture(scope="module")
def hub(toy, gitlab, tmp_path_factory) -> Hub:
    """The toy project with a run on the branch main, its cache pushed to a folder that is its storage."""
    install()
    hub = Hub(tmp_path_factory.mktemp("hub"), gitlab)
    Project(hub.folder).ok("git", "clone", "--quiet", "--bare", str(toy.folder), "hub.git")
    project = hub.clone("start", toy.ok("git", "branch", "--show-current").strip())
    project.ok("git", "checkout", "--quiet", "-B", "main")
    project.ok("dvc", "cache", "dir", "--local", str(toy.folder / ".dvc/cache"))
    project.ok("dvc", "remote", "modify", "storage", "url", str(hub.folder / "storage"))
    project.ok("dvc", "remote", "default", "storage")
    project.ok("dvc", "push")
    change(project.folder / "params.yaml", budget__latency_p95_ms=None, budget__instructions=None)  # no board
    for name in (".gitlab-ci.yml", "pyproject.toml"):
        shutil.copy(ROOT / name, project.folder)
    (project.folder / "setup.sh").write_text(SETUP.format(Path(sys.executable).parent))
    (project.folder / "setup.sh").chmod(0o755)
    (project.folder / "tests").mkdir()
    (project.folder / "tests/test_nothing.py").write_text("def test_nothing():\n    pass\n")
    (project.folder / "docs").mkdir()
    (project.folder / "docs/notes.md").write_text("None yet.\n")
    hub.commit(project, "Storage and CI", "main")
    project.ok("git", "push", "--quiet", "origin", f"HEAD:refs/heads/{TARGET}")
    project.ok("git", "--git-dir", str(hub.repository), "symbolic-ref", "HEAD", "refs/heads/main")
    return hub


@pytest.fixture(scope="module")
def better(hub) -> Pipeline:
    """A merge request that halves the model's weights, after its pipeline."""
    project = hub.clone("better")
    change(project.folder / "params.yaml", quant="fp16")
    hub.commit(project, "Half the bytes", "better")
    pipeline = hub.merge_request("better", EDGE_BOARD="local")
    assert pipeline.run() == 0, pipeline.text
    return pipeline


def test_the_file_is_valid(ci):
    """GitLab's published schema accepts .gitlab-ci.yml."""
    jsonschema.Draft7Validator(schema()).validate(ci)


def test_every_dependency_of_a_stage_starts_the_pipeline(ci):
    """What dvc.yaml lists as a dependency is in the list of files whose change starts a run; documents are not."""
    changes = next(rule["changes"] for rule in ci[".run"]["rules"] if "changes" in rule)
    for stage in yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"].values():
        deps = [dep for dep in stage["deps"] if not dep.startswith(("data/prepared", "data/raw", "models/"))]
        missing = [dep for dep in deps if dep not in changes and f"{dep.split('/')[0]}/**/*" not in changes]
        assert missing == []
    assert not any(pattern.startswith(("docs", "README", "**", "*")) for pattern in changes)
    assert ci["variables"]["EDGE_INPUTS"].split() == [pattern.removesuffix("/**/*") for pattern in changes]


@pytest.mark.parametrize(
    ("branch", "variables", "jobs"),
    [
        ("main", {"CI_PIPELINE_SOURCE": "schedule", "EDGE_SCHEDULE": "nightly"}, {"nightly"}),
        ("main", {"CI_PIPELINE_SOURCE": "schedule", "EDGE_SCHEDULE": "weekly"}, {"weekly"}),
        ("main", {"CI_PIPELINE_SOURCE": "web", "EDGE_BOARD": "pi4"}, MEASURED | {"release"}),
        (TARGET, {"CI_PIPELINE_SOURCE": "trigger", "EDGE_BOARD": "pi4"}, MEASURED),
        (TARGET, {"CI_PIPELINE_SOURCE": "api"}, MEASURED - {"measure-on-board"} | {"measure-without-board"}),
        ("main", {"CI_PIPELINE_SOURCE": "push"}, CHECKS),
    ],
)
def test_what_starts_a_pipeline_decides_its_jobs(hub, tmp_path, branch, variables, jobs):
    """Two schedules, by hand, by trigger, by API; a push that changes nothing the pipeline reads runs the checks."""
    Project(hub.folder).ok("git", "clone", "--quiet", "--branch", branch, str(hub.repository), str(tmp_path / "clone"))
    assert Pipeline(tmp_path / "clone", **variables).jobs() == jobs


def test_a_merge_request_runs_only_what_changed(better):
    """Another quantization: train runs that stage, the board measures, every job passes, the lock is named stale."""
    assert better.ran("train") == ["quantize"]
    assert better.ran("measure-on-board") == ["evaluate-on-device"]
    assert better.status == dict.fromkeys(MEASURED | {"note"}, "PASS") | {"dvc-lock": "WARN"}
    assert "dvc.lock is not current" in better.log("dvc-lock")


def test_the_note_compares_with_the_target_branch(better, gitlab):
    """One note of ours, beside those of others: changed metrics, changed parameters, and where the report is."""
    body = gitlab.notes[-1]["body"]
    assert body.startswith(merge_note.MARKER)
    assert re.search(r"\| metrics/quantize.json +\| bytes +\|", body)
    assert re.search(r"\| params.yaml +\| quant +\| fp32 +\| fp16 +\|", body)
    assert "metrics/devices/local.json" in body
    assert "No board is registered" not in body
    assert [note["author"]["id"] for note in gitlab.notes] == [3, 3, gitlab_server.USER]


def test_the_report_is_an_artifact(better):
    """The report as HTML and Markdown, the plots against the target, and the metrics in OpenMetrics text."""
    assert "<html" in better.artifact("report", "report.html").lower()
    assert better.artifact("report", "report.md") in better.artifact("report", "note.md")
    assert f"origin/{TARGET}" in better.artifact("report", "dvc_plots/index.html")
    sizes = re.findall(
        r'^edge_devices_model_bytes\{device="local"\} (\S+)$', better.artifact("report", "metrics.txt"), re.M
    )
    measured = json.loads(better.artifact("measure-on-board", "metrics/devices/local.json"))
    assert [float(size) for size in sizes] == [measured["model_bytes"]]


def test_names_are_never_run(better):
    """A target branch and a title that hold a command leave no trace of it."""
    assert list(better.folder.rglob("pwned")) == []


def test_the_next_push_updates_the_note(better, gitlab):
    """The second pipeline of a merge request changes the note that is there, by one request, and adds none."""
    count, gitlab.asked[:] = len(gitlab.notes), []
    gitlab.notes[-1]["body"] = f"{merge_note.MARKER} of the first push"
    assert better.run("note") == 0
    assert gitlab.asked[-1] == f"PUT {gitlab_server.NOTES}/{gitlab.notes[-1]['id']}"
    assert len(gitlab.notes) == count
    assert "| quant" in gitlab.notes[-1]["body"]


def test_notes_that_were_doubled_become_one(better, gitlab):
    """Two notes of ours, of pipelines at the same time, are one after the next; those of others stay."""
    count = len(gitlab.notes)
    gitlab.add(gitlab_server.USER, f"{merge_note.MARKER} twice")
    assert better.run("note") == 0
    assert len(gitlab.notes) == count
    assert [note["author"]["id"] for note in gitlab.notes] == [3, 3, gitlab_server.USER]


def test_a_failing_server_fails_the_note_job_alone(better, gitlab):
    """The note job ends with a warning and one line that says why; the pipeline passes."""
    gitlab.status = 500
    try:
        assert better.run("note") == 0
    finally:
        gitlab.status = 0
    assert better.status == {"note": "WARN"}
    assert better.log("note").count("error: ") == 1


@pytest.mark.parametrize(
    ("status", "token", "url", "words"),
    [
        (0, "wrong", None, ["401", "EDGE_NOTE_TOKEN"]),
        (404, TOKEN, None, ["404"]),
        (500, TOKEN, None, ["500"]),
        (0, TOKEN, "http://127.0.0.1:9", ["no connection"]),
    ],
)
def test_an_error_of_the_server_is_one_line(gitlab, status, token, url, words):
    """401, 404, 500 and nobody there: exit status 1, one line that names server and cause, never the token."""
    gitlab.status = status
    address = url or gitlab.url
    try:
        result = Project(ROOT).run(
            *(sys.executable, "-m", "platforms.gitlab.merge_note", "README.md"),
            CI_SERVER_URL=address,
            CI_PROJECT_ID=str(gitlab_server.PROJECT),
            CI_MERGE_REQUEST_IID=str(gitlab_server.MERGE_REQUEST),
            EDGE_NOTE_TOKEN=token,
        )
    finally:
        gitlab.status = 0
    assert result.returncode == 1
    assert len(result.stderr.splitlines()) == 1
    assert all(word in result.stderr for word in [address, *words])
    assert TOKEN not in result.stderr


def test_the_note_says_what_is_not_set():
    """Outside a merge request pipeline the program names the variables that it misses."""
    result = Project(ROOT).run(sys.executable, "-m", "platforms.gitlab.merge_note", "README.md")
    assert result.returncode == 1
    assert result.stderr.startswith(
        "error: CI_SERVER_URL, CI_PROJECT_ID, CI_MERGE_REQUEST_IID, EDGE_NOTE_TOKEN not set"
    )


def test_a_model_out_of_budget_fails_the_merge_request(hub, gitlab):
    """Hardly trained, without storage or board: all of it runs, emulated, which is said; the gate alone fails."""
    project = hub.clone("worse")
    change(project.folder / "configs/toy.yaml", train__learning_rate=0.00003, train__epochs=1)
    project.ok("dvc", "config", "--unset", "core.remote")
    hub.commit(project, "In a hurry", "worse")
    pipeline = hub.merge_request("worse")
    assert pipeline.run() == 1
    assert pipeline.ran("train") == ["collect", "preprocess", "train", "convert", "quantize"]
    assert {name for name, word in pipeline.status.items() if word == "FAIL"} == {"gate"}
    assert "accuracy" in pipeline.log("gate")
    assert "No board is registered" in pipeline.log("measure-without-board")
    assert json.loads(pipeline.artifact("measure-without-board", "metrics/devices/emulated-pi4.json"))["instructions"]
    assert "No board is registered" in gitlab.notes[-1]["body"]


def test_documents_alone_run_no_stage(hub):
    """A merge request that changes only documents has the checks, and no job of the pipeline."""
    project = hub.clone("words")
    (project.folder / "docs/notes.md").write_text("Some now.\n")
    hub.commit(project, "Words", "words")
    pipeline = hub.merge_request("words", EDGE_BOARD="local")
    assert pipeline.run() == 0, pipeline.text
    assert pipeline.status == dict.fromkeys(CHECKS, "PASS")


@pytest.fixture(scope="module")
def merged(hub, better, tmp_path_factory) -> Iterator[tuple[Pipeline, str]]:
    """The default branch after that merge and its pipeline, somebody pushing meanwhile; and the registry's address."""
    project = hub.clone("merge")
    before = project.ok("git", "rev-parse", "HEAD").strip()
    project.ok("git", *WHO, "merge", "--quiet", "--no-ff", "-m", "Merge better", "origin/better")
    project.ok("git", "push", "--quiet", "origin", "main")
    clone = hub.clone("pipeline-main")
    clone.ok("git", "update-ref", "refs/remotes/origin/main", before)
    (project.folder / "docs/notes.md").write_text("Meanwhile.\n")
    hub.commit(project, "Meanwhile", "main")
    with mlflow_server.server(tmp_path_factory.mktemp("registry")) as registry:
        variables = hub.variables | {"CI_PIPELINE_SOURCE": "push", "MLFLOW_TRACKING_URI": registry}
        pipeline = Pipeline(clone.folder, **variables, EDGE_BOARD="local")
        assert pipeline.run() == 0, pipeline.text
        yield pipeline, registry


def test_the_default_branch_gets_its_results(hub, merged):
    """After a merge: the results are committed with [skip ci] on top of what came meanwhile, and pushed to storage."""
    pipeline, _ = merged
    assert pipeline.status == dict.fromkeys(MEASURED | {"release", "promote"}, "PASS") | {"dvc-lock": "WARN"}
    fresh = hub.clone("after")
    assert fresh.ok("git", "log", "-2", "--format=%s").splitlines()[1] == "Meanwhile"
    assert re.fullmatch(r"Run of [0-9a-f]{8} \[skip ci\]\n", fresh.ok("git", "log", "-1", "--format=%s"))
    changed = set(fresh.ok("git", "show", "--name-only", "--format=").split())
    assert {"dvc.lock", "metrics/quantize.json"} <= changed <= {"dvc.lock", "params.yaml", *changed}
    assert all(name in ("dvc.lock", "params.yaml") or name.startswith("metrics/") for name in changed)
    fresh.ok("dvc", "pull")
    assert ran(fresh.ok("dvc", "repro")) == []


def test_the_merged_model_is_promoted(merged):
    """The candidate that the run recorded is the champion, and the audit says by which merge."""
    pipeline, registry = merged
    text = Project(pipeline.folder).ok(sys.executable, "-m", "commands.registry", "show", MLFLOW_TRACKING_URI=registry)
    assert "champion: version 1" in text
    assert "merged as" in text


def test_other_results_in_between_are_not_overwritten(hub, merged):
    """Where the default branch got other results meanwhile, release fails in words, and those stay."""
    pipeline, _ = merged
    project = hub.clone("other")
    project.ok("git", "reset", "--quiet", "--hard", "HEAD~1")
    project.ok("git", "push", "--quiet", "--force", "origin", "main")
    lock = project.folder / "dvc.lock"
    lock.write_text(re.sub(r"md5: [0-9a-f]{8}", "md5: 00000000", lock.read_text()))
    hub.commit(project, "Other results", "main")
    assert pipeline.run("release") == 1
    assert "main moved on with other code, data or results" in pipeline.log("release")
    assert hub.clone("still").ok("git", "log", "-1", "--format=%s").strip() == "Other results"


def test_a_push_that_is_refused_says_so(hub, merged):
    """Where nobody pushed and the server refuses, release names the token, not somebody else's results."""
    pipeline, _ = merged
    project = hub.clone("back")
    head = Project(pipeline.folder).ok("git", "rev-parse", "HEAD").strip()
    project.ok("git", "push", "--quiet", "--force", "origin", f"{head}:main")
    hook = hub.repository / "hooks/pre-receive"
    hook.write_text("#!/bin/sh\necho not allowed to push\nexit 1\n")
    hook.chmod(0o755)
    try:
        assert pipeline.run("release") == 1
    finally:
        hook.unlink()
    assert "not allowed to push" in pipeline.log("release")
    assert "did not take the results, see above: EDGE_PUSH_TOKEN" in pipeline.log("release")
    assert "moved on" not in pipeline.log("release")


def test_the_push_uses_its_own_token(ci, tmp_path):
    """Where the runner puts the job's token into every address, the results still go with EDGE_PUSH_TOKEN."""
    seen = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            seen.append(base64.b64decode((self.headers["Authorization"] or "").removeprefix("Basic ")).decode())
            self.send_response(401 if seen[-1] in ("", "edge:") else 403)
            self.send_header("WWW-Authenticate", 'Basic realm="git"')
            self.end_headers()

        def log_message(self, *_) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_port}"
        project = Project(tmp_path)
        project.ok("git", "init", "--quiet")
        project.ok("git", *WHO, "commit", "--quiet", "--allow-empty", "-m", "A run")
        job = f"http://gitlab-ci-token:job@127.0.0.1:{server.server_port}"
        project.ok("git", "config", f"url.{job}.insteadOf", address)
        project.ok(
            "git", "config", "credential.helper", "!f() { echo username=gitlab-ci-token; echo password=job; }; f"
        )
        script = next(line for line in ci["release"]["script"] if "push()" in line)
        lines = script[script.index("login=") : script.index("push || {")] + "push"
        variables = {"CI_PROJECT_URL": f"{address}/edge", "CI_DEFAULT_BRANCH": "main", "EDGE_PUSH_TOKEN": "push-token"}
        project.run("bash", "-c", lines, **variables, GIT_TERMINAL_PROMPT="0")
        server.shutdown()
    assert set(seen) - {"", "edge:"} == {"edge:push-token"}


def test_a_conflict_of_results_is_one_command(toy, tmp_path):
    """Two branches with runs of their own: the line of docs/ci.md ends the conflict with a run of what was merged."""
    Project(tmp_path).ok("git", "clone", "--quiet", str(toy.folder), "clone")
    project = Project(tmp_path / "clone")
    project.ok("dvc", "cache", "dir", "--local", str(toy.folder / ".dvc/cache"))
    project.ok("dvc", "checkout")
    for branch, file, values in (("mine", "params.yaml", {"quant": "fp16"}), ("theirs", *OTHER)):
        project.ok("git", "checkout", "--quiet", "-b", branch, "origin/HEAD")
        change(project.folder / file, **values)
        project.ok("dvc", "repro")
        project.ok("git", *WHO, "commit", "--quiet", "--all", "-m", branch)
    assert "CONFLICT (content): Merge conflict in dvc.lock" in project.run("git", *WHO, "merge", "mine").stdout
    line = re.search(r"^ *(git checkout --theirs dvc.lock .*)$", (ROOT / "docs/ci.md").read_text(), re.MULTILINE)[1]
    assert ran(project.ok("bash", "-ec", line)) == ["quantize", "evaluate-on-device"]
    project.ok("git", *WHO, "commit", "--quiet", "--no-edit")
    assert ran(project.ok("dvc", "repro")) == []
    assert project.ok("git", "status", "--porcelain") == ""


def test_openmetrics_text():
    """A gauge a line, the device as label, what a name may not hold replaced, and the end marked."""
    metrics = {"train.test.macro-f1": 0.5, "devices.pi4.latency.threads_1.p50": 2.0, "data.rows": 3.0}
    text = openmetrics.text(metrics | {"devices.pi4.lab.bytes": 7.0}, ["pi4", "pi4.lab"])
    lines = [
        "edge_data_rows 3.0",
        'edge_devices_bytes{device="pi4.lab"} 7.0',
        'edge_devices_latency_threads_1_p50{device="pi4"} 2.0',
        "edge_train_test_macro_f1 0.5",
    ]
    assert text == "\n".join([*lines, "# EOF", ""])
