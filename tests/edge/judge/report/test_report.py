"""The report: right about what changed, safe with what data and git say, and fit to be read by everybody."""

import json
import re
import shutil
import sys
import wave
from html.parser import HTMLParser
from pathlib import Path

import matplotlib.image
import numpy as np
import onnx
import pandas as pd
import pytest
from markupsafe import Markup

import tasks
from benchmarks.clone import change
from edge.data import shards
from edge.data.shards import Spec, Tensor
from edge.heads import Classification
from edge.judge import verdicts
from edge.judge.report import mistakes, page, pictures, revisions, sections
from edge.models.formats import metadata
from edge.records.measurement import Measurement
from tests.conftest import Project
from tests.edge.judge.report import chromium
from tests.edge.records import measurements

HOSTILE = "<script>document.title = 'x'</script>|`*@all"
SUBJECT = "<img src=http://127.0.0.1:9/x onerror=alert(1)> | `close` @all"


@pytest.fixture(scope="module")
def project(toy, tmp_path_factory) -> Project:
    """A copy of the toy project with an experiment in int8 and hostile commits; fp32 at hand."""
    project = Project(tmp_path_factory.mktemp("report") / "toy")
    shutil.copytree(toy.folder, project.folder, symlinks=True)
    project.ok("dvc", "exp", "run", "-S", "quant=int8", "--name", "small")
    project.ok("git", "checkout", ".")
    project.ok("dvc", "checkout", "--force")
    project.ok("git", "commit", "--quiet", "--allow-empty", "-m", "In\u2028one\rline")
    project.ok("git", "commit", "--quiet", "--allow-empty", "-m", SUBJECT)
    project.ok("bash", "-c", "printf 'Caf\\351' | git -c i18n.commitEncoding=none commit --quiet --allow-empty -F -")
    return project


def copy(project: Project, folder: Path) -> Project:
    """A copy of the project in which a test may change what it likes."""
    shutil.copytree(project.folder, folder, symlinks=True)
    return Project(folder)


def rewrite(path: Path, content: bytes) -> None:
    """Put other content into a file that DVC may have linked from its cache."""
    path.unlink()
    path.write_bytes(content)


@pytest.fixture(scope="module")
def written(project, tmp_path_factory) -> Path:
    """A folder with report.html and report.md of the workspace against the experiment, and the answer in answer.txt."""
    folder = tmp_path_factory.mktemp("written")
    (folder / "answer.txt").write_text(make(project, "small"))
    for name in ("report.html", "report.md"):
        shutil.copy(project.folder / name, folder)
    return folder


def make(project: Project, *revisions: str) -> str:
    """Write a report; returns the answer that was printed."""
    return project.ok(sys.executable, "-m", "commands.report", *revisions)


class Outline(HTMLParser):
    """Every start tag with its attributes, and what is left open at the end."""

    def __init__(self, text: str):
        super().__init__()
        self.tags, self.open, self.bad = [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        if tag not in ("meta", "link", "img", "br"):
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        if not self.open or self.open.pop() != tag:
            self.bad.append(tag)


def test_two_experiments_are_compared(written):
    """The answer, the parameter that differs, the larger model and the verdict on latency are in both files."""
    text, html, answer = ((written / name).read_text() for name in ("report.md", "report.html", "answer.txt"))
    assert "Worse: " in answer or "Better: " in answer
    assert re.search(r"model size (larger|smaller)", answer)
    assert re.search(r"Budget (kept|missed|not known)", answer)
    assert "No real board was measured." in answer
    assert "| `params.yaml:quant` | `int8` | `fp32` |" in text
    assert re.search(
        r"\| accuracy \| \w+ \| [\d.]+ % \| [\d.]+ % \| [-+][\d.]+ points \([-+][\d.]+ to [-+][\d.]+\) \|", text
    )
    assert re.search(
        r"\| 1 \| [\d.]+ \| .* % \([-+][\d.]+ to [-+][\d.]+\) \| (undecided|\*\*(faster|slower)\*\*) \|", text
    )
    for words in ("params.yaml:quant", "Measured on this machine, not on a board", "Most frequent confusions"):
        assert words in html


def test_any_two_revisions_the_same_bytes_twice(project):
    """Both sides may be revisions; what git and DVC have does not change, and nor does the report."""
    assert "Budget not known" in make(project, "HEAD", "small")
    first = [(project.folder / name).read_bytes() for name in ("report.html", "report.md")]
    make(project, "HEAD", "small")
    assert [(project.folder / name).read_bytes() for name in ("report.html", "report.md")] == first
    assert b"small (" in first[0]
    assert b"| `params.yaml:quant` | `fp32` | `int8` |" in first[1]


def test_what_data_and_git_say_is_shown_letter_by_letter(project, tmp_path):
    """Labels and commit subjects with HTML, Markdown and mentions do nothing, in HTML and in Markdown."""
    clone = copy(project, tmp_path / "clone")
    spec = clone.folder / "data/prepared/spec.json"
    rewrite(spec, spec.read_bytes().replace(b'"positive"', json.dumps(HOSTILE).encode()))
    model = onnx.load(clone.folder / "models/edge.onnx")
    metadata.write(model, {"labels": ["negative", HOSTILE]})
    rewrite(clone.folder / "models/edge.onnx", model.SerializeToString())
    assert "undecided: accuracy" in make(clone, "small").lower()
    text, outline = (clone.folder / "report.md").read_text(), Outline((clone.folder / "report.html").read_text())
    assert "not comparable: another task, or other labels" in text
    assert (outline.bad, outline.open) == ([], [])
    assert not [tag for tag, attributes in outline.tags if tag == "script" or "onerror" in attributes]
    assert "``" + HOSTILE.replace("|", r"\|") + "``" in text
    assert "``" + SUBJECT.replace("|", r"\|") + "``" in text
    outside = re.sub(r"(`+).*?\1(?!`)", "", text)
    assert "@all" not in outside
    assert not re.search(r"(?<!\\)<", outside)


def test_the_page_asks_nobody_for_anything(written, tmp_path):
    """In Chromium no request leaves, no script runs, and everything is shown."""
    html = written / "report.html"
    assert not re.findall(r'(?:src|href)="(?!data:|#)[^"]*"|url\((?!#)|@import', html.read_text())
    assert chromium.requests(html, tmp_path / "profile") == set()
    asking = tmp_path / "asking.html"
    asking.write_text(
        chromium.POLICY.sub("", html.read_text()).replace("</body>", '<img src="http://example.org/x"></body>')
    )
    assert chromium.requests(asking, tmp_path / "asking") == {"http://example.org/x"}, "a request would not be seen"
    shown = chromium.dom(html, tmp_path / "other")
    assert "<title>toy: workspace" in shown
    assert shown.count("<section") == html.read_text().count("<section")


@pytest.mark.parametrize("colours", [[], [chromium.DARK]], ids=["light", "dark"])
def test_axe_finds_nothing(written, tmp_path, colours):
    """axe-core in Chromium: names, roles, headings, tables, keyboard and language, light and dark."""
    assert chromium.violations(written / "report.html", tmp_path, *colours) == []


def test_ids_are_unique_and_every_reference_leads_somewhere(written):
    """Pictures of several devices do not share ids; links within the page have a target."""
    tags = Outline((written / "report.html").read_text()).tags
    ids = [attributes["id"] for _, attributes in tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    series = pd.DataFrame({"model": ["candidate", "baseline"], "threads": 1, "seconds": 0.0, "ms": [1.0, 2.0]})
    one, other = (set(re.findall(r'\bid="([^"]*)"', pictures.latency(series, name))) for name in ("pi4", "pi5"))
    assert one and other and not one & other
    links = {attributes["href"] for tag, attributes in tags if tag == "a"}
    assert links and {link.removeprefix("#") for link in links} <= set(ids)


def luminance(colour: str) -> float:
    """Relative luminance of #rrggbb (WCAG 2.2)."""
    shares = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    linear = [share / 12.92 if share <= 0.04045 else ((share + 0.055) / 1.055) ** 2.4 for share in shares]
    return float(np.dot(linear, (0.2126, 0.7152, 0.0722)))


def contrast(one: str, other: str) -> float:
    """Contrast of two colours (WCAG 2.2)."""
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("scheme", [0, 1], ids=["light", "dark"])
def test_colours_stand_out(scheme):
    """Text has a contrast of 4.5 on every background that it is on, what is drawn has 3, light and dark."""
    blocks = re.findall(r":root \{(.*?)\}", page.TEMPLATE.read_text(), re.DOTALL)
    colour = dict(re.findall(r"--([a-z]+): (#[0-9a-f]{6})", blocks[scheme]))
    for text in ("text", "link", "good", "bad", "open"):
        assert contrast(colour[text], colour["page"]) >= 4.5, text
    for background in ("raised", "warning", "shade"):
        assert contrast(colour["text"], colour[background]) >= 4.5, background
    for drawn in (colour["line"], *pictures.COLOURS.values()):
        assert contrast(drawn, colour["page"]) >= 3, drawn


def test_what_the_cache_lacks_is_said(project, tmp_path):
    """Without a cached model, metrics of devices and data the report is made, and names them."""
    clone = copy(project, tmp_path / "clone")
    shutil.rmtree(clone.folder / ".dvc/cache/files")
    answer = make(clone, "small")
    assert "Undecided: accuracy" in answer
    text = (clone.folder / "report.md").read_text()
    for name in ("models/edge.onnx", "metrics/devices/local.json"):
        assert f"small: {name} is not in git or DVC's cache" in text.replace("\\", "")
    assert "Budget" in make(clone, "HEAD", "small")


def test_figures_of_another_model_are_not_shown(project, tmp_path):
    """A model that was exchanged after it was measured has no latency in the report, and a reason."""
    clone = copy(project, tmp_path / "clone")
    model = clone.folder / "models/edge.onnx"
    metadata = b"r\x06\n\x01a\x12\x01b"  # ModelProto.metadata_props: a = b
    rewrite(model, model.read_bytes() + metadata)
    answer = make(clone, "HEAD")
    assert "latency" not in answer.split("Budget")[0]
    assert "Unchanged: model size." in answer, "other bytes are not the same model"
    text = (clone.folder / "report.md").read_text().replace("\\", "")
    assert "workspace: metrics/devices/local.json measured another model: run dvc repro" in text


def test_a_change_after_the_run_is_said(project, tmp_path):
    """Settings edited after the run are not taken for those of the run."""
    clone = copy(project, tmp_path / "clone")
    change(clone.folder / "params.yaml", quant="fp16")
    make(clone, "HEAD")
    text = (clone.folder / "report.md").read_text()
    assert "Not as in the last run: params.yaml.quant; dvc repro runs it again" in text


def test_figures_edited_by_hand_are_said(project, tmp_path):
    """A metrics file that is not the one of the run is named, and what was removed is no run's."""
    clone = copy(project, tmp_path / "clone")
    figures = clone.folder / "metrics/devices/local.json"
    rewrite(figures, figures.read_bytes().replace(b'"p50": ', b'"p50": 0'))
    (clone.folder / "models/edge.onnx").unlink()
    answer = make(clone, "HEAD")
    assert "Undecided: accuracy, model size" in answer
    text = (clone.folder / "report.md").read_text().replace("\\", "")
    assert re.search("Not as in the last run: .*metrics/devices", text)
    assert "metrics/devices/local.json is not as this version writes it (Invalid JSON" in text


@pytest.mark.parametrize(
    ("path", "content", "words"),
    [
        ("dvc.lock", "<<<<<<< HEAD\na: 1\n", "dvc.lock is not as DVC writes it: a conflict? docs/ci.md ends one"),
        ("params.yaml", "quant: int8 : x\n", "params.yaml"),
        ("dvc.yaml", "stages: [\n", "dvc.yaml"),
    ],
)
def test_broken_files_are_one_line(project, tmp_path, path, content, words):
    """Conflict marks and broken YAML: exit status 1 and one line that names the file."""
    clone = copy(project, tmp_path / "clone")
    (clone.folder / path).write_text(content)
    result = clone.run(sys.executable, "-m", "commands.report", "HEAD")
    assert (result.returncode, result.stderr.count("\n")) == (1, 1)
    assert words in result.stderr


def test_broken_results_are_said_and_the_rest_is_told(project, tmp_path):
    """A model that is none and metrics that are not JSON leave gaps that have a reason."""
    clone = copy(project, tmp_path / "clone")
    rewrite(clone.folder / "models/edge.onnx", b"x")
    (clone.folder / "metrics/train.json").write_text("{")
    make(clone, "HEAD")
    text = (clone.folder / "report.md").read_text().replace("\\", "")
    assert "models/edge.onnx gives no answers to the test split (" in text
    assert "metrics/train.json is not JSON" in text


def test_a_looser_budget_is_said(project, tmp_path):
    """Limits that differ from those before are named beside what they let through."""
    clone = copy(project, tmp_path / "clone")
    change(clone.folder / "configs/toy.yaml", budget__score=0.01)
    make(clone, "HEAD")
    text = (clone.folder / "report.md").read_text().replace("\\", "")
    assert re.search(r"The budget itself differs: score [\d.]+ -> 0.01", text)


def test_a_run_of_another_task_has_no_verdict(project, tmp_path):
    """Accuracies of two tasks are both shown and not compared, whatever a device that was not run again says."""
    clone = copy(project, tmp_path / "clone")
    shutil.copytree(clone.folder / "tasks/toy", clone.folder / "tasks/other")
    shutil.copy(clone.folder / "configs/toy.yaml", clone.folder / "configs/other.yaml")
    clone.ok("dvc", "exp", "run", "-S", "task=other", "-S", "configs/other.yaml:collect.rows=300", "quantize")
    answer = make(clone, "HEAD")
    assert "Undecided: accuracy" in answer
    assert "Better: accuracy" not in answer and "Worse: accuracy" not in answer
    text = (clone.folder / "report.md").read_text()
    assert text.startswith("# other: ")
    assert "not comparable: another task, or other labels" in text
    assert "`tasks/other/__init__.py` | not in git" in text


def test_a_device_of_an_evil_name_is_not_shown(project, tmp_path):
    """A name in a dvc.lock that no devices.yaml could have names no file and reaches no page."""
    clone = copy(project, tmp_path / "clone")
    lock = clone.folder / "dvc.lock"
    lock.write_text(lock.read_text().replace("device: local", 'device: ../../x"><h1>'))
    clone.ok("git", "commit", "--quiet", "--all", "-m", "Evil")
    make(clone, "small", "HEAD")
    text = (clone.folder / "report.html").read_text()
    assert "<h1>&#34;" not in text and "is no name of a device" in text
    assert (Outline(text).bad, Outline(text).open) == ([], [])


def test_a_name_that_is_no_revision_is_one_line(project):
    """An unknown revision is told in a line; so is one without a run."""
    expected = {("nosuch",): "'nosuch' is no commit", ("HEAD", "HEAD~4"): "HEAD~4 has no dvc.lock"}
    expected |= {("HEAD:dvc.lock",): "'HEAD:dvc.lock' is no commit", ("HEAD", ""): "'' is no commit"}
    for names, words in expected.items():
        result = project.run(sys.executable, "-m", "commands.report", *names)
        assert (result.returncode, result.stderr.count("\n")) == (1, 1)
        assert words in result.stderr


def test_by_default_the_run_before(project, tmp_path, monkeypatch):
    """HEAD while its run is another than the workspace's; the commit of the run before once this one is committed."""
    clone = copy(project, tmp_path / "clone")
    monkeypatch.chdir(clone.folder)
    before = clone.ok("git", "rev-parse", "HEAD~3").strip()
    assert revisions.previous() == "HEAD"
    clone.ok(
        "git", "checkout", "--quiet", clone.ok("dvc", "exp", "list", "-A", "--sha-only").split()[-1], "--", "dvc.lock"
    )
    assert revisions.previous() == "HEAD"
    clone.ok("git", "commit", "--quiet", "--all", "-m", "Another run")
    assert revisions.previous() == before


def test_intervals_hold_what_they_promise():
    """In simulated pairs and in separate samples the 95 % interval has the true difference in 93 to 99 % of cases."""
    generator, held = np.random.default_rng(1), {"paired": [], "independent": []}
    for _ in range(2000):
        before = generator.random(300) < 0.9
        after = np.where(generator.random(300) < 0.05, ~before, before)
        low, high = verdicts.paired(before, after)
        held["paired"].append(low <= 0.9 * -0.05 + 0.1 * 0.05 <= high)
        other = generator.random(200) < 0.85
        low, high = verdicts.independent((before.mean(), 300), (other.mean(), 200))
        held["independent"].append(low <= -0.05 <= high)
    assert all(0.93 < np.mean(each) < 0.99 for each in held.values())


def measured(low: float, middle: float, high: float, **changes) -> Measurement:
    """A device with one thread: the candidate against the baseline, in percent."""
    compared = measurements.COMPARED | {"low_percent": low, "change_percent": middle, "high_percent": high}
    figures = {"candidate_ms": measurements.TIMING, "baseline_ms": measurements.BASELINE} | compared
    return measurements.made(latency={"threads_1": figures}, **changes)


def test_two_runs_are_compared_through_their_common_baseline():
    """Half the time against a baseline, after the same time, is half; without the same baseline there is no verdict."""
    before, after = measured(-1.0, 0.0, 1.01, model_sha256="c" * 64), measured(-51.0, -50.0, -48.98)
    text, verdict = verdicts.since(before, after, "threads_1")
    assert (text[:7], verdict) == ("-50.0 %", "faster")
    low, high = map(float, re.search(r"\((.*) to (.*)\)", text).groups())
    assert low == pytest.approx(-51.1, abs=0.11)
    assert high == pytest.approx(-48.9, abs=0.11)
    for other in ({"baseline_sha256": "d" * 64}, {"board": {"machine": "Pi 5"}}, {"runtime": "litert"}):
        assert verdicts.since(before, measured(-51.0, -50.0, -49.0, **other), "threads_1")[1] == "undecided"
        assert verdicts.since(before, measured(-1.0, 0.0, 1.01, **other), "threads_1")[1] == "undecided", (
            "the same model elsewhere"
        )
    assert verdicts.since(None, after, "threads_1")[1] == "undecided"
    assert verdicts.since(after, after, "threads_1")[1] == "same"


def test_instructions_are_counted_and_have_no_noise():
    """On an emulated board fewer instructions are fewer, half a percent is none, and no latency is invented."""

    class Side:
        def __init__(self, count: int, **others: str):
            counts = measurements.COUNTED["instructions"] | {"candidate": count}
            made = measurements.made("emulated-pi4", "emulated", instructions=counts, **others)
            self.devices = {"emulated-pi4": made}

    for count, verdict in ((900_000, "fewer"), (1_003_000, "same"), (1_100_000, "more")):
        (change,) = verdicts.on_device("emulated-pi4", Side(1_000_000), Side(count))
        assert (change.what, change.verdict) == ("instructions on emulated-pi4", verdict)
    (change,) = verdicts.on_device("emulated-pi4", Side(1_000_000), Side(800_000, wheels_sha256="e" * 64))
    assert change.verdict == "undecided"


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"transport": "local"}, "not on a board"),
        ({"transport": "emulated"}, "instructions are not time"),
        ({"state": {"others_max": 1.72, "clock_mhz_min": 1500}}, "up to 1.72 cores busy"),
        ({"steady": 0.9}, "warm-up"),
        ({"attempts": 3}, "rejected before this one: 2"),
        ({"state": {}}, "throttling would go unseen"),
        ({"parity": {"samples": 0, "scores": 0, "agreement": 0.99}}, "parity.agreement below 1"),
        ({"baseline_sha256": "b" * 64}, "no difference is expected"),
    ],
)
def test_what_is_not_to_be_trusted_is_said(changes, words):
    """Each reason of docs/devices.md not to believe a figure, and none where there is none."""
    assert sections.trust(measurements.made()) == []
    assert [words in doubt for doubt in sections.trust(measurements.made(**changes))] == [True]


def test_figures_of_an_older_form_are_said(project, tmp_path):
    """A file that an older version wrote leaves a gap that has a reason, on either side of the comparison."""
    clone = copy(project, tmp_path / "clone")
    figures = clone.folder / "metrics/devices/local.json"
    content = json.loads(figures.read_text())
    rewrite(figures, json.dumps(content | content.pop("scores")).encode())
    clone.ok("dvc", "commit", "--force", "evaluate-on-device")
    clone.ok("git", "commit", "--quiet", "--all", "-m", "As it was")
    for sides in ((), ("small", "HEAD"), ("HEAD", "small")):
        make(clone, *sides)
        text = (clone.folder / "report.md").read_text().replace("\\", "")
        assert re.search(r"metrics/devices/local.json is not as this version writes it \(\w+: Field required\)", text)


def test_examples_can_be_heard_and_seen(tmp_path):
    """The sound of a clip is the stored samples, at their rate; a picture has the stored pixels."""
    clip = np.arange(-4000, 4000, dtype=np.int16)
    scores = Tensor("scores", (1,))
    spec = Spec(Tensor("waveform", (8000,)), scores, ("yes",), {"sample_rate": 8000})
    tasks.load("keyword_spotting").example(clip, spec, tmp_path)
    with wave.open(str(tmp_path / "sound.wav")) as sound:
        assert (sound.getframerate(), sound.getnchannels()) == (8000, 1)
        assert np.array_equal(np.frombuffer(sound.readframes(8000), "<i2"), clip)
    assert matplotlib.image.imread(tmp_path / "spectrogram.png").std() > 0
    digit = np.zeros((8, 8, 1), np.uint8)
    spec = Spec(Tensor("pixels", (8, 8, 1)), scores, ("0",), {"pixel_range": [0, 255]})
    digit[2, 3] = 255
    tasks.load("image_classification").example(digit, spec, tmp_path)
    seen = matplotlib.image.imread(tmp_path / "picture.png")[8::16, 8::16]
    assert np.argwhere(seen == 1).tolist() == [[2, 3]]
    shown = pictures.example(tasks.load("image_classification"), digit, np.int64(0), np.ones(1), spec, HOSTILE)
    assert Outline(shown).tags[0][1]["alt"] == f"picture of {HOSTILE}"


def test_an_answer_that_can_be_drawn_is_shown_in_place_of_the_example():
    """The report has the picture with its boxes, named as such."""
    spec = Spec(Tensor("pixels", (8, 8, 3)), Tensor("scores", (100, 6)), ("cell",), {})
    picture, box, found = np.zeros((8, 8, 3), np.uint8), np.array([[0, 0, 1, 1, 0]], np.float32), np.zeros((100, 6))
    shown = pictures.example(tasks.load("object_detection"), picture, box, found, spec, "it")
    assert [attributes["alt"] for _, attributes in Outline(shown).tags] == ["boxes of it"]


def test_long_tables_fit_a_merge_request():
    """Two hundred labels and a thousand parameters stay below 50 kB of Markdown, which says what it left out."""
    labels = [page.Data(f"label {number} " + "x" * 300) for number in range(200)]
    rows = [[label, page.Data("y" * 300)] for label in labels * 5]
    wide = page.Table("Wide", labels, [labels])
    text = page.markdown(page.Page("t", "a", [page.Section("s", tables=[page.Table("Long", ["k", "v"], rows), wide])]))
    assert len(text.encode()) < 50_000
    assert "970 more rows are in report.html" in text
    assert "200 columns are in report.html" in text


def test_a_label_without_test_examples_has_no_recall():
    """The confusion matrix has a row for each label, and a dash where there is nothing to be right about."""
    spec = Spec(Tensor("x", (1,)), Tensor("scores", (2,)), ("yes", "no"), {})
    split = shards.Split(np.zeros((2, 1)), np.array([0, 0]), spec.input)

    class Side:
        answers = revisions.Answers(Classification(), split, spec, np.array([[0.9, 0.1], [0.2, 0.8]]))

    assert [row[-2:] for row in mistakes.confusion(Side, Side).tables[0].rows] == [["50.0 %"] * 2, ["–"] * 2]


def test_a_figure_is_the_only_html_that_is_taken_as_such():
    """Strings are escaped wherever they stand; only Markup is HTML."""
    bad = "<b onclick=x>&"
    section = page.Section(bad, [bad], [bad], [page.Table(bad, [bad], [[bad, page.Share(bad, 0.5), page.Data(bad)]])])
    section.figures.append(page.Figure(Markup("<svg></svg>"), [bad]))
    text = page.html(page.Page(bad, bad, [section]))
    assert "<b " not in text
    assert "<svg></svg>" in text
    plain = page.markdown(page.Page("@all", "<b>", [page.Section("@all", ["`@all`"], ["@all <b>"])]))
    assert "@all" not in plain
    assert not re.search(r"(?<!\\)[<`]", plain)
