"""What README and docs point to is there for whoever clones."""

import re
import subprocess

import pytest

from tests.imports import ROOT

MADE = ROOT / "report.md"  # by `make report`
TEXTS = sorted({*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")} - {MADE})


@pytest.mark.parametrize("text", TEXTS, ids=lambda path: path.name)
def test_every_link_leads_to_a_file_in_git(text):
    """A document that git ignores, or one that was renamed, is not linked; nor is a text missing from git itself."""
    tracked = set(subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True).stdout.splitlines())
    links = re.findall(r"\]\((?!https?:|#)([^)#]+)", text.read_text())
    targets = [str((text.parent / link).resolve().relative_to(ROOT)) for link in links] + [str(text.relative_to(ROOT))]
    assert set(targets) - tracked == set()
