"""The part of GitLab's REST API that the note needs, on 127.0.0.1: who am I, and the notes of one merge request."""

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

TOKEN = "glpat-a-token-of-these-tests"
PROJECT, MERGE_REQUEST, USER = 1217, 7, 42
NOTES = f"/api/v4/projects/{PROJECT}/merge_requests/{MERGE_REQUEST}/notes"


class Handler(BaseHTTPRequestHandler):
    """Answers as GitLab does: 401 without the token, 404 elsewhere; a list comes a note a page."""

    def do_GET(self) -> None:
        path, _, query = self.path.partition("?")
        if path == "/api/v4/user":
            self.answer(200, {"id": USER, "username": "edge"})
        elif path == NOTES:
            page = int(dict(pair.split("=") for pair in query.split("&")).get("page", 1))
            following = f'<{self.server.url}{NOTES}?page={page + 1}>; rel="next"'
            self.answer(200, self.server.notes[page - 1 : page], following if page < len(self.server.notes) else "")
        else:
            self.answer(404, {"message": "404 Not Found"})

    def do_POST(self) -> None:
        body = self.body()
        if self.path != NOTES or set(body) != {"body"}:
            self.answer(404, {"message": "404 Not Found"})
            return
        self.server.add(USER, body["body"])
        self.answer(201, self.server.notes[-1])

    def do_PUT(self) -> None:
        body, note = self.body(), self.note()
        if note is None or set(body) != {"body"}:
            self.answer(404, {"message": "404 Not Found"})
            return
        note["body"] = body["body"]
        self.answer(200, note)

    def do_DELETE(self) -> None:
        if (note := self.note()) is None:
            self.answer(404, {"message": "404 Not Found"})
            return
        self.server.notes.remove(note)
        self.answer(204, {})

    def note(self) -> dict | None:
        """The note that the path names, where it is one of the token's user."""
        number = re.fullmatch(NOTES + r"/(\d+)", self.path)
        ours = (note for note in self.server.notes if note["author"]["id"] == USER)
        return next((note for note in ours if number and note["id"] == int(number[1])), None)

    def body(self) -> dict:
        return json.loads(self.rfile.read(int(self.headers["Content-Length"])))

    def answer(self, status: int, content: object, link: str = "") -> None:
        self.server.asked.append(f"{self.command} {self.path.partition('?')[0]}")
        if self.headers["PRIVATE-TOKEN"] != TOKEN:
            status, content = 401, {"message": "401 Unauthorized"}
        if self.server.status:
            status, content = self.server.status, {"message": f"{self.server.status} of these tests"}
        text = json.dumps(content).encode() if status != 204 else b""
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        if link:
            self.send_header("Link", link)
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_) -> None:
        pass


class Server(ThreadingHTTPServer):
    """``notes`` of the merge request, requests ``asked`` so far, and a ``status`` for every answer unless it is 0."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.notes, self.asked, self.status = [], [], 0

    def add(self, author: int, body: str) -> None:
        """Add a note of a user."""
        self.notes.append({"id": 300 + len(self.notes), "body": body, "author": {"id": author}})


@contextmanager
def server() -> Iterator[Server]:
    """A server that runs until the block ends."""
    with Server() as running:
        Thread(target=running.serve_forever, daemon=True).start()
        yield running
        running.shutdown()
