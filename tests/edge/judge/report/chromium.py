"""Opens a page in headless Chromium: its DOM after scripts ran, and what it asked the network for."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests import npm

QUIET = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync")
QUIET += ("--disable-background-networking", "--disable-component-update", "--virtual-time-budget=60000")
QUIET += ("--host-resolver-rules=MAP * ~NOTFOUND",)  # nothing leaves this machine
DARK = "--blink-settings=preferredColorScheme=0"
AXE = Path(__file__).parent / "axe"
POLICY = re.compile('<meta http-equiv="Content-Security-Policy"[^>]*>')


def dom(page: Path, profile: Path, *options: str) -> str:
    """The DOM of a page, as HTML; skips where there is no Chromium."""
    program = shutil.which("chromium")
    if not program:
        pytest.skip("THE REPORT WAS NOT OPENED IN A BROWSER: chromium is missing, ./setup.sh test installs it")
    words = [program, *QUIET, f"--user-data-dir={profile}", *options, "--dump-dom", page.as_uri()]
    return subprocess.run(words, capture_output=True, text=True, timeout=120, check=True).stdout


def requests(page: Path, profile: Path) -> set[str]:
    """The addresses that a page asks for, http and https; what Chromium wants for itself has no page as its origin."""
    log = profile.with_name("net.json")
    dom(page, profile, f"--log-net-log={log}")
    asked = [event["params"] for event in json.loads(log.read_text())["events"] if "params" in event]
    return {
        one["url"]
        for one in asked
        if one.get("url", "").startswith("http") and one.get("initiator", "not an origin") != "not an origin"
    }


def violations(page: Path, folder: Path, *options: str) -> list:
    """What axe-core finds against a page: rule and first element; skips where npm or Chromium are missing."""
    npm.install(AXE, "the report's accessibility was not checked")
    program = AXE / "node_modules/axe-core/axe.min.js"
    run = """axe.run().then(found => {
        const result = document.createElement("output");
        result.textContent = JSON.stringify(found.violations.map(one => [one.id, one.nodes[0].target]));
        document.body.replaceChildren(result);
    })"""
    text = POLICY.sub("", page.read_text())
    copy = folder / "with_axe.html"
    copy.write_text(text.replace("</body>", f"<script>{program.read_text()}</script><script>{run}</script></body>"))
    found = re.search("<output>(.*)</output>", dom(copy, folder / "profile", *options))
    assert found, "axe-core did not finish"
    return json.loads(found[1])
