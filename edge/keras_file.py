"""Saves Keras models so that equal models are equal bytes."""

import json
import zipfile
from pathlib import Path

from edge import files

EPOCH = (1980, 1, 1, 0, 0, 0)


def save(model, path: Path) -> None:
    """Write ``model`` as a .keras file without its save date and zip times; the file is whole or absent."""
    with files.atomic(path) as temporary:
        raw = temporary.with_suffix(".keras")
        try:
            model.save(raw)
            with zipfile.ZipFile(raw) as source, zipfile.ZipFile(temporary, "w") as target:
                for name in sorted(source.namelist()):
                    content = source.read(name)
                    if name == "metadata.json":
                        content = json.dumps(json.loads(content) | {"date_saved": ""}, sort_keys=True).encode()
                    target.writestr(zipfile.ZipInfo(name, EPOCH), content)
        finally:
            raw.unlink(missing_ok=True)
