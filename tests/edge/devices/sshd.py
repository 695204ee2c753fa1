"""A real ssh server on 127.0.0.1 with keys of its own, and the ssh config with which ``ssh board`` reaches it."""

import getpass
import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

SSHD = shutil.which("sshd", path=f"{os.environ['PATH']}:/usr/sbin:/usr/local/sbin")


def generate_key(path: Path) -> str:
    """Make an ed25519 key pair; returns the public line."""
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", path], check=True)
    return path.with_suffix(".pub").read_text()


def client_config(folder: Path, port: int, known: str, key: str = "user", address: str = "127.0.0.1") -> str:
    """Write the client's ssh config for the alias ``board``; ``known`` is the server's public key; returns its path."""
    (folder / "known_hosts").write_text(f"board {known}")
    lines = {
        "HostName": address,
        "HostKeyAlias": "board",
        "Port": port,
        "User": getpass.getuser(),
        "IdentityFile": folder / key,
        "IdentitiesOnly": "yes",
        "IdentityAgent": "none",
        "UserKnownHostsFile": folder / "known_hosts",
        "GlobalKnownHostsFile": "none",
    }
    config = folder / "ssh_config"
    config.write_text("Host board\n" + "".join(f"  {key} {value}\n" for key, value in lines.items()))
    return str(config)


def prepare(folder: Path, address: str, port: int, *extra: str) -> list[str]:
    """Write keys and the server's config, with the further lines ``extra``; returns the words that start it."""
    assert SSHD, "these tests need sshd: sudo apt install openssh-server"
    generate_key(folder / "host")
    (folder / "authorized_keys").write_text(generate_key(folder / "user"))
    lines = (f"ListenAddress {address}", f"HostKey {folder}/host", f"AuthorizedKeysFile {folder}/authorized_keys")
    lines += ("PasswordAuthentication no", "KbdInteractiveAuthentication no", "UsePAM no", "StrictModes no")
    (folder / "sshd_config").write_text("\n".join((*lines, "PidFile none", *extra, "")))
    return [SSHD, "-D", "-e", "-p", str(port), "-f", str(folder / "sshd_config")]


@contextmanager
def server(folder: Path, *extra: str) -> Iterator[tuple[str, int]]:
    """Run sshd with the further config lines ``extra``; yields the client's config and the port."""
    if os.getuid() == 0:
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
    folder.mkdir(parents=True, exist_ok=True)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = prepare(folder, "127.0.0.1", port, *extra)
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        try:
            first = process.stderr.readline()
            assert "listening" in first, first + process.stderr.read()
            yield client_config(folder, port, (folder / "host.pub").read_text()), port
        finally:
            process.terminate()
