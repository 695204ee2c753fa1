"""A real MLflow server on 127.0.0.1: SQLite for runs and the registry, a folder for artifacts."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Thread


@contextmanager
def server(folder: Path) -> Iterator[str]:
    """Run ``mlflow server`` with everything it keeps in ``folder``; yields its address once it answers."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    words = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    words += [
        "--backend-store-uri",
        f"sqlite:///{folder}/mlflow.db",
        "--artifacts-destination",
        str(folder / "artifacts"),
    ]
    environment = {key: value for key, value in os.environ.items() if not key.startswith("MLFLOW")}
    environment |= {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    with subprocess.Popen(words, cwd=folder, env=environment, start_new_session=True, **pipes) as process:
        try:
            said = ""
            while "Application startup complete" not in said:
                line = process.stdout.readline()
                said += line
                assert line, f"the MLflow server did not start: {said}"
            Thread(target=process.stdout.read, daemon=True).start()
            yield f"http://127.0.0.1:{port}"
        finally:
            os.killpg(process.pid, signal.SIGTERM)
