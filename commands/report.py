"""Is a run better, and may it ship? Writes report.html and report.md.

    python -m commands.report                the workspace against HEAD, or the run before where HEAD has this one
    python -m commands.report BEFORE         the workspace against a commit, branch or DVC experiment
    python -m commands.report BEFORE AFTER   any two of these

No stage runs. The models' answers come from models/edge.onnx, run on this machine, where git and DVC's cache have it.
"""

import argparse
from pathlib import Path

import tasks
from edge.core import errors, files
from edge.judge.report import page, revisions, sections
from edge.judge.report.revisions import Revision
from edge.records.tree import WORKSPACE

HTML, MARKDOWN = Path("report.html"), Path("report.md")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m commands.report", description=__doc__.splitlines()[0])
    parser.add_argument("before", nargs="?", help="commit, branch or DVC experiment (default: HEAD, or the run before)")
    parser.add_argument("after", nargs="?", default=WORKSPACE, help="the same (default: the workspace)")
    arguments = parser.parse_args()
    tasks.selected()  # what is wrong in a file is said in a line, before DVC reads it
    report = sections.build(Revision(arguments.before or revisions.previous()), Revision(arguments.after))
    for path, text in ((HTML, page.html(report)), (MARKDOWN, page.markdown(report))):
        with files.atomic(path) as temporary:
            temporary.write_text(text, encoding="utf-8")
    print(report.answer)


if __name__ == "__main__":
    errors.run(main)
