"""Downloads from a real HTTP server on loopback."""

import hashlib
import http.server
import threading

import pytest

from edge.core.errors import UserError
from edge.data.fetch import MIRROR, fetch

CONTENT = bytes(range(256)) * 4096
SHA256 = hashlib.sha256(CONTENT).hexdigest()


class Server(http.server.ThreadingHTTPServer):
    """Serves CONTENT: ``cut`` answers break off half-way, ``status`` replaces answers, ``ranges`` lists requests."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.cut, self.status, self.ranges, self.resumes = 0, None, [], True
        self.url = f"http://127.0.0.1:{self.server_port}/data.bin"


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        server = self.server
        asked = self.headers.get("Range")
        server.ranges.append(asked)
        if server.status:
            self.send_error(server.status)
            return
        start = int(asked.removeprefix("bytes=").removesuffix("-")) if asked and server.resumes else 0
        if start >= len(CONTENT):
            self.send_response(416)
            self.send_header("Content-Range", f"bytes */{len(CONTENT)}")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        body = CONTENT[start:]
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if server.cut:
            server.cut -= 1
            body = body[: len(body) // 2]
        self.wfile.write(body)

    def log_message(self, *_):
        pass


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.delenv(MIRROR, raising=False)
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def test_download_shows_progress(server, tmp_path, capsys):
    """A whole file arrives under its name, with a progress bar and nothing left beside it."""
    target = fetch(server.url, SHA256, tmp_path / "new" / "data.bin")
    assert target.read_bytes() == CONTENT
    assert [path.name for path in target.parent.iterdir()] == ["data.bin"]
    assert "100%" in capsys.readouterr().err


def test_cut_connection_resumes(server, tmp_path):
    """After two cuts the rest is asked for by Range, and the file is whole."""
    server.cut = 2
    target = fetch(server.url, SHA256, tmp_path / "data.bin", pause=0)
    half = len(CONTENT) // 2
    assert target.read_bytes() == CONTENT
    assert server.ranges == [None, f"bytes={half}-", f"bytes={half + half // 2}-"]


def test_partial_file_of_an_earlier_run_is_continued(server, tmp_path):
    """A run that was stopped is taken up where it ended, even when nothing but the renaming was left."""
    for have in (1000, len(CONTENT)):
        (tmp_path / "data.bin").unlink(missing_ok=True)
        (tmp_path / "data.bin.partial").write_bytes(CONTENT[:have])
        assert fetch(server.url, SHA256, tmp_path / "data.bin").read_bytes() == CONTENT
        assert server.ranges[-1] == f"bytes={have}-"


def test_server_that_cannot_resume(server, tmp_path):
    """A server that ignores Range sends the file anew, and nothing is doubled."""
    server.resumes = False
    (tmp_path / "data.bin.partial").write_bytes(CONTENT[:1000])
    assert fetch(server.url, SHA256, tmp_path / "data.bin").read_bytes() == CONTENT


def test_hash_mismatch_leaves_nothing(server, tmp_path):
    """A file with another hash is refused, naming both hashes, and is not left under any name."""
    with pytest.raises(UserError, match=f"{SHA256}, expected {'0' * 64}"):
        fetch(server.url, "0" * 64, tmp_path / "data.bin")
    assert list(tmp_path.iterdir()) == []


def test_mirror_comes_first(server, tmp_path, monkeypatch):
    """A file in the mirror folder is used without asking the network, and is checked too."""
    mirror = tmp_path / "mirror"
    mirror.mkdir()
    (mirror / "data.bin").write_bytes(CONTENT)
    monkeypatch.setenv(MIRROR, str(mirror))
    assert fetch(server.url, SHA256, tmp_path / "data.bin").read_bytes() == CONTENT
    assert server.ranges == []
    with pytest.raises(UserError, match="mirror/data.bin has sha256"):
        fetch(server.url, "0" * 64, tmp_path / "other" / "data.bin")


def test_present_file_is_not_fetched_again(server, tmp_path):
    """A right file under the final name is kept as it is."""
    (tmp_path / "data.bin").write_bytes(CONTENT)
    fetch(server.url, SHA256, tmp_path / "data.bin")
    assert server.ranges == []


def test_http_errors(server, tmp_path):
    """404 is an error at once; 503 is tried again first."""
    server.status = 404
    with pytest.raises(UserError, match="answers 404 Not Found"):
        fetch(server.url, SHA256, tmp_path / "data.bin", pause=0)
    assert len(server.ranges) == 1
    server.status = 503
    with pytest.raises(UserError, match="answers 503"):
        fetch(server.url, SHA256, tmp_path / "data.bin", attempts=3, pause=0)
    assert len(server.ranges) == 4


def test_no_network(server, tmp_path):
    """A host that does not answer is named, with what to do."""
    url = server.url
    server.server_close()
    with pytest.raises(UserError, match=f"{url} cannot be reached.*check the network"):
        fetch(url, SHA256, tmp_path / "data.bin", attempts=2, pause=0)


def test_mirror_only_file_without_mirror(tmp_path, monkeypatch):
    """A file without an address needs the mirror, and the error says how to set it."""
    monkeypatch.delenv(MIRROR, raising=False)
    with pytest.raises(UserError, match=f"set {MIRROR}"):
        fetch(None, SHA256, tmp_path / "data.bin")


def test_disk_full(server, tmp_path):
    """A full disk is named as such and leaves no file under the final name."""
    (tmp_path / "data.bin.partial").symlink_to("/dev/full")
    with pytest.raises(UserError, match="no space left"):
        fetch(server.url, SHA256, tmp_path / "data.bin", pause=0)
    assert not (tmp_path / "data.bin").exists()


def test_another_hash_where_there_is_no_sha256(server, tmp_path):
    """A file whose maker publishes an md5 alone is held to it, and the error says which hash it is."""
    right = hashlib.md5(CONTENT, usedforsecurity=False).hexdigest()
    assert fetch(server.url, right, tmp_path / "data.bin", algorithm="md5").read_bytes() == CONTENT
    with pytest.raises(UserError, match=f"has md5 {right}, expected {'0' * 32}"):
        fetch(server.url, "0" * 32, tmp_path / "other.bin", algorithm="md5")
