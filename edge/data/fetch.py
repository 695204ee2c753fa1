"""Downloads that resume, are checked against a sha256, and have their final name only when they are whole and right."""

import errno
import os
import shutil
import time
from pathlib import Path

import requests
from tqdm import tqdm

from edge.core import files
from edge.core.errors import UserError

MIRROR = "EDGE_DATA_MIRROR"  # environment variable: a folder looked at, by file name, before the network
BLOCK = 1 << 16  # bytes; a lost connection costs at most so many


def cache() -> Path:
    """The user's folder for downloads, kept between runs."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "edge-datasets"


def fetch(
    url: str | None,
    digest: str,
    target: Path,
    attempts: int = 5,
    pause: float = 1.0,
    timeout: float = 30.0,
    algorithm: str = "sha256",
) -> Path:
    """Make ``target`` the file with this ``digest``, from the mirror or from ``url``; returns ``target``.

    ``url`` None: the file is in a mirror or nowhere. A lost connection is tried again ``attempts`` times in all, after
    ``pause`` seconds and then twice as long each time, from where it stopped; ``timeout`` is in seconds without a byte.
    ``algorithm`` is another than sha256 only where whoever offers the file publishes no sha256.
    Raises UserError where the file is out of reach, is another than expected, or the disk is full.
    """
    target = Path(target)
    if target.is_file() and files.digest(target, algorithm) == digest:
        return target
    partial = target.with_name(f"{target.name}.partial")
    mirror = os.environ.get(MIRROR)
    mirrored = Path(mirror) / target.name if mirror else None
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        if mirrored and mirrored.is_file():
            origin = str(mirrored)
            shutil.copyfile(mirrored, partial)
        elif url is None:
            raise UserError(f"{target.name} cannot be downloaded: set {MIRROR} to a folder that holds it")
        else:
            origin = url
            _download(url, partial, attempts, pause, timeout)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise UserError(f"no space left in {target.parent} for {target.name}: free some and run again") from None
        raise UserError(f"{error.filename or partial} cannot be used: {error.strerror}") from None
    got = files.digest(partial, algorithm)
    if got != digest:
        partial.unlink()
        raise UserError(
            f"{origin} has {algorithm} {got}, expected {digest}: it is damaged or has changed; run again to fetch "
            f"it anew, or put the right file into the folder that {MIRROR} names"
        )
    partial.replace(target)
    return target


def _download(url: str, partial: Path, attempts: int, pause: float, timeout: float) -> None:
    """Bring ``partial`` to its full length; raises UserError when the last attempt fails too."""
    for attempt in range(attempts):
        if attempt:
            time.sleep(pause * 2 ** (attempt - 1))
        try:
            return _resume(url, partial, timeout)
        except requests.HTTPError as error:
            status = error.response.status_code
            failure = f"{url} answers {status} {error.response.reason}"
            if status < 500 and status not in (408, 429):
                raise UserError(f"{failure}: check the address, or use {MIRROR}") from None
        except requests.RequestException as error:
            failure = f"{url} cannot be reached, or the connection was lost ({type(error).__name__})"
    raise UserError(f"{failure}: check the network and run again, it resumes; or use {MIRROR}")


def _resume(url: str, partial: Path, timeout: float) -> None:
    """Append what ``partial`` lacks, or begin anew where the server cannot continue."""
    have = partial.stat().st_size if partial.exists() else 0
    headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={have}-"} if have else {})
    with requests.get(url, headers=headers, stream=True, timeout=timeout) as answer:
        if answer.status_code == requests.codes.requested_range_not_satisfiable:
            whole = answer.headers.get("Content-Range", "").rpartition("/")[2]
            if whole == str(have):
                return
            partial.unlink()
            raise requests.ConnectionError("the server has fewer bytes than were kept")
        answer.raise_for_status()
        if answer.status_code != requests.codes.partial_content:
            have = 0
        total = have + int(answer.headers["Content-Length"]) if "Content-Length" in answer.headers else None
        name = partial.name.removesuffix(".partial")
        bar = tqdm(desc=name, total=total, initial=have, unit="B", unit_scale=True)
        with bar, open(partial, "ab" if have else "wb") as file:
            for block in answer.iter_content(BLOCK):
                file.write(block)
                bar.update(len(block))
