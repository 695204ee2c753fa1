"""A real S3 API on 127.0.0.1: a server process with one user, and a line to it that can be cut."""

import contextlib
import json
import re
import selectors
import socket
import socketserver
import struct
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

import boto3
import requests

BUCKET = "edge-test"
REGION = "us-east-1"
ALL_OF_S3 = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}]}
RESET = struct.pack("ii", 1, 0)  # SO_LINGER: close by a reset, without a goodbye


class Store:
    """A running server with an empty bucket: ``endpoint`` is its URL, ``keys`` the environment with its user's keys."""

    def __init__(self, endpoint: str) -> None:
        self.endpoint = endpoint
        iam = self.client("iam", "setup", "setup")
        iam.create_user(UserName="edge")
        iam.put_user_policy(UserName="edge", PolicyName="s3", PolicyDocument=json.dumps(ALL_OF_S3))
        key = iam.create_access_key(UserName="edge")["AccessKey"]
        requests.post(f"{endpoint}/moto-api/reset-auth", data="0", timeout=10).raise_for_status()
        self.keys = {"AWS_ACCESS_KEY_ID": key["AccessKeyId"], "AWS_SECRET_ACCESS_KEY": key["SecretAccessKey"]}
        self.s3 = self.client("s3", *self.keys.values())
        self.s3.create_bucket(Bucket=BUCKET)

    def client(self, service: str, key: str, secret: str):
        """A client of one of the server's services."""
        keys = {"aws_access_key_id": key, "aws_secret_access_key": secret}
        return boto3.client(service, REGION, endpoint_url=self.endpoint, **keys)

    def names(self, prefix: str) -> list[str]:
        """The names of the objects under a prefix."""
        return [item["Key"] for item in self.s3.list_objects_v2(Bucket=BUCKET, Prefix=prefix).get("Contents", [])]

    def read(self, name: str) -> bytes:
        """The bytes of an object."""
        return self.s3.get_object(Bucket=BUCKET, Key=name)["Body"].read()

    def write(self, name: str, content: bytes) -> None:
        """Write an object, over an earlier one."""
        self.s3.put_object(Bucket=BUCKET, Key=name, Body=content)

    def delete(self, name: str) -> None:
        """Remove an object."""
        self.s3.delete_object(Bucket=BUCKET, Key=name)


@contextmanager
def server() -> Iterator[Store]:
    """Run the server on a free port; it checks every signature against the keys of its one user."""
    command = [sys.executable, "-u", "-m", "moto.server", "-H", "127.0.0.1", "-p", "0"]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    with subprocess.Popen(command, **pipes) as process:
        try:
            said = ""
            while not (found := re.search(r"Running on (http://\S+)", said)):
                line = process.stdout.readline()
                assert line, f"the S3 server did not start: {said}"
                said += line
            threading.Thread(target=process.stdout.read, daemon=True).start()
            yield Store(found[1])
        finally:
            process.terminate()


class Line(socketserver.ThreadingTCPServer):
    """A TCP line: ``endpoint`` is its near end. It is dead after ``left`` bytes of answers, until ``left`` is None."""

    daemon_threads = True

    def __init__(self, server: str, left: int) -> None:
        super().__init__(("127.0.0.1", 0), None)
        far = urlsplit(server)
        self.far, self.left = (far.hostname, far.port), left
        self.endpoint = f"http://127.0.0.1:{self.server_address[1]}"

    def finish_request(self, client: socket.socket, _) -> None:
        """Carry bytes both ways until an end closes; on a dead line, cut the connection."""
        with client, socket.create_connection(self.far) as server, selectors.DefaultSelector() as ready:
            ready.register(client, selectors.EVENT_READ, server)
            ready.register(server, selectors.EVENT_READ, client)
            with contextlib.suppress(ConnectionError):
                while self.left != 0:
                    for key, _ in ready.select():
                        content = key.fileobj.recv(self.left or 65536)
                        if not content:
                            return
                        key.data.sendall(content)
                        if key.fileobj is server and self.left is not None:
                            self.left = max(0, self.left - len(content))
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)


@contextmanager
def line(server: str, left: int) -> Iterator[Line]:
    """Run a Line to a server."""
    with Line(server, left) as line:
        threading.Thread(target=line.serve_forever, daemon=True).start()
        try:
            yield line
        finally:
            line.shutdown()
