"""First contact: what the board is, and room on it. Sent through ssh to ``python -``, so it runs on any Python 3.

Arguments: the folder of bundles, sites and results; how many megabytes it may hold. Prints one line of JSON.
"""

import fcntl
import json
import os
import platform
import re
import shutil
import sys
import time

DAY = 86400
KEEP_DAYS = 7  # what nobody used for so long is removed
SETTLED = 3600  # nothing younger than so many seconds is removed: another host may be sending it
OURS = re.compile(
    r"[0-9a-f]{16}|[0-9a-f]{32}|[0-9a-f]{64}"
)  # names of sites, results, bundles; nothing else is touched
KINDS = ("bundles", "bytecode", "results", "sites")


def size(folder):
    """Bytes of all files in a folder; a file that goes meanwhile counts as none."""
    total = 0
    for top, _, names in os.walk(folder):
        for name in names:
            try:
                total += os.lstat(os.path.join(top, name)).st_size
            except OSError:
                continue
    return total


def free(folder):
    """Whether no runner holds the folder; whoever uses a bundle or a site holds a shared lock on it."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return True
    except OSError:
        return False
    finally:
        os.close(descriptor)


def prune(root, megabytes):
    """Remove what is old, then the longest unused until the rest fits; nothing that is in use or just sent."""
    now = time.time()
    kept = []
    for kind in KINDS:
        for entry in os.scandir(os.path.join(root, kind)):
            if OURS.fullmatch(entry.name) and entry.is_dir(follow_symlinks=False):
                kept.append((entry.stat().st_mtime, entry.path))
    total = sum(size(path) for _, path in kept)
    for used, path in sorted(kept):
        unwanted = now - used > KEEP_DAYS * DAY or (total > megabytes * 1e6 and now - used > SETTLED)
        if unwanted and free(path):
            total -= size(path)
            shutil.rmtree(path, ignore_errors=True)


def main():
    root, megabytes = sys.argv[1], float(sys.argv[2])
    try:
        for kind in KINDS:
            os.makedirs(os.path.join(root, kind), exist_ok=True)
        alone = os.open(root, os.O_RDONLY)
        fcntl.flock(alone, fcntl.LOCK_EX)  # one contact at a time; gone with this process
        prune(root, megabytes)
        if not os.access(root, os.W_OK):
            raise PermissionError(13, "Permission denied", root)
    except OSError as error:
        print("error: the folder `root`: %s" % error)
        sys.exit(13)
    machine = platform.machine()
    if machine == "aarch64" and sys.maxsize < 2**32:
        machine = "armv7l"  # 32-bit Raspberry Pi OS on its 64-bit kernel
    facts = {
        "libc": platform.libc_ver()[1],
        "machine": machine,
        "python": "%d.%d" % sys.version_info[:2],
    }
    print(json.dumps(facts, sort_keys=True))


if __name__ == "__main__":
    main()
