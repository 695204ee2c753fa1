"""Puts a Markdown file into one note on the merge request at hand: the first time a new note, then the same one.

    python -m platforms.gitlab.merge_note note.md

GitLab's CI says where: CI_SERVER_URL, CI_PROJECT_ID, CI_MERGE_REQUEST_IID. EDGE_NOTE_TOKEN is an access token with the
scope ``api``; the job's own token may not write notes. Our note is the one of the token's user that starts with MARKER.
"""

import argparse
import os
from pathlib import Path

import gitlab
import requests

from edge.core import errors
from edge.core.errors import UserError

MARKER = "<!-- edge: the report of this merge request -->"
VARIABLES = ("CI_SERVER_URL", "CI_PROJECT_ID", "CI_MERGE_REQUEST_IID", "EDGE_NOTE_TOKEN")
TIMEOUT_SECONDS = 30


def put(text: str, url: str, project: int, merge_request: int, token: str) -> str:
    """Make the note say ``text``; returns "added" or "updated". Raises GitlabError or RequestException.

    Of several notes of ours, that pipelines at the same time left, the first stays.
    """
    body = f"{MARKER}\n\n{text}"
    with gitlab.Gitlab(url, private_token=token, timeout=TIMEOUT_SECONDS) as server:
        server.auth()
        request = server.projects.get(project, lazy=True).mergerequests.get(merge_request, lazy=True)
        notes = request.notes.list(sort="asc", order_by="created_at", iterator=True)
        ours = [note for note in notes if note.author["id"] == server.user.id and note.body.startswith(MARKER)]
        if not ours:
            request.notes.create({"body": body})
            return "added"
        for note in ours[1:]:
            note.delete()
        ours[0].body = body
        ours[0].save()
        return "updated"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m platforms.gitlab.merge_note", description=__doc__.splitlines()[0])
    parser.add_argument("file", type=Path, help="Markdown")
    text = parser.parse_args().file.read_text(encoding="utf-8")
    missing = [name for name in VARIABLES if not os.environ.get(name)]
    if missing:
        raise UserError(
            f"{', '.join(missing)} not set: this runs in a merge request pipeline of GitLab, see docs/ci.md"
        )
    url, project, merge_request, token = (os.environ[name] for name in VARIABLES)
    place = f"the note on merge request {merge_request} at {url}"
    try:
        print(place, put(text, url, int(project), int(merge_request), token))
    except gitlab.GitlabError as error:
        raise UserError(
            f"{place} was refused: {error}: see EDGE_NOTE_TOKEN in docs/ci.md, or run the job again"
        ) from None
    except requests.RequestException as error:
        raise UserError(f"{place}: no connection, run the job again: {error}") from None


if __name__ == "__main__":
    errors.run(main)
