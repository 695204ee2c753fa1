"""Where series come from: each source fills a folder with csv files as they came, manifest.csv and layout.json.

``manifest.csv`` has a row a file (path below the folder, its name at the source, subject, sha256), ``skipped.csv`` a
row for each file that was left out (file, reason). ``layout.json`` says what the columns are. ``limits`` has
``file_mb`` and ``archive_gb``, what csv files may have unpacked.
"""

import csv
import hashlib
import io
import re
from collections.abc import Callable, Iterable
from pathlib import Path, PurePosixPath

import pandas as pd
from tqdm import tqdm

from edge.core.errors import UserError
from edge.data import archive, fetch
from edge.data.rejected import Table
from edge.modalities.series import generated, poses
from edge.modalities.series.table import Layout

PHONE = (  # CC BY 4.0, GeoTecINIT/sp-sw-har-dataset: 14 people with a phone in the pocket
    None,
    "d6d530d71d627550963eabfcd2699ce02ba924b6c155efeaf36f697d18445d64",
    "smartphone_activity.tar.gz",
)
PHONE_NAME = re.compile(r"(?:^|/)s\d\d/(?P<subject>s\d\d)_\d\d_sp\.csv$")
MOTION = Layout(time="time", seconds=1.0, sensors=[list(axes) for axes in generated.AXES], label="label", group=None)
MILLISECONDS = MOTION.model_copy(update={"time": "timestamp", "seconds": 0.001})


def motion(config, out: Path, seed: int) -> None:
    """Five motions of several people, generated."""

    def rows() -> Iterable[tuple[str, str, bytes]]:
        for subject in range(config.subjects):
            for index in range(config.recordings):
                values, labels = generated.recording(subject, index, config.seconds, seed)
                table = pd.DataFrame(values, columns=MOTION.values).assign(label=labels)
                table.insert(0, "time", [f"{row / generated.RATE:.2f}" for row in range(len(table))])
                text = table.to_csv(index=False, float_format="%.4f", lineterminator="\n")
                yield f"p{subject:02}/{index:02}.csv", f"p{subject:02}", text.encode()

    store(out, MOTION, rows(), {})


def phone(limits, out: Path) -> None:
    """Fourteen people sit, stand up, walk, turn and sit down with a phone in the pocket; the phone's files only."""
    packed = fetch.fetch(*PHONE[:2], fetch.cache() / PHONE[2])
    _members(packed, limits, out, MILLISECONDS, lambda name: PHONE_NAME.search(name)["subject"], PHONE_NAME.search)


def files(path: str, layout: Layout, limits, out: Path) -> None:
    """One's own csv files: a csv, a folder of subject/recording.csv, or an archive of one.

    The folder that a file lies in names its subject; a file without a folder is a subject of its own.
    """
    source = Path(path)
    if source.is_file() and source.suffix.lower() == ".csv":
        one_file(path, layout, limits.file_mb, out)
        return

    def subject(name: str) -> str:
        return PurePosixPath(name).parent.name or PurePosixPath(name).stem

    _members(source, limits, out, layout, subject, lambda name: name.lower().endswith(".csv"))


def pose_table(path: str, limits, out: Path) -> None:
    """The csv of coordinates that ``commands.poses`` writes: each value of its column recording is a subject."""
    layout = Layout(time=None, seconds=1.0, sensors=[poses.COLUMNS], label=poses.LABEL, group=poses.RECORDING)
    one_file(path, layout, limits.file_mb, out)


def one_file(path: str, layout: Layout, most: float, out: Path) -> None:
    """One csv file of at most ``most`` MB, whose groups are the subjects where the layout names a column of them."""
    if not Path(path).is_file():
        raise UserError(f"{path} is no file: correct the path in the config, section collect")
    store(out, layout, [(Path(path).name, Path(path).stem, _bytes(Path(path), most))], {})


def _bytes(path: Path, most: float) -> bytes:
    """The content of a file; raises UserError where it is larger than the limit."""
    if path.stat().st_size > most * 10**6:
        raise UserError(f"{path} is larger than {most:g} MB: raise file_mb of section collect, or split the file")
    return path.read_bytes()


def _members(source: Path, limits, out: Path, layout: Layout, subject: Callable, wanted: Callable) -> None:
    """Store the wanted files of a folder or archive."""
    with archive.members(source, wanted, limits.unpacked) as members:
        if not members.names:
            raise UserError(f"{source} holds no csv file: give a folder or an archive of subject/recording.csv")
        chosen = ((name, subject(name), members.read(name)) for name in tqdm(members.names, "collecting", unit="file"))
        store(out, layout, chosen, {name: reason for name, reason in members.skipped.items() if wanted(name)})


def store(out: Path, layout: Layout, files: Iterable[tuple[str, str, bytes]], skipped: dict[str, str]) -> None:
    """Write files (name, subject, content), their manifest and the layout; equal files are listed, and stored once.

    The files get numbers for names: a name at the source may not be one here.
    """
    layout.save(out)
    with Table(out / "manifest.csv", "path", "file", "subject", "sha256") as manifest:
        for index, (name, subject, content) in enumerate(files):
            path = f"{index:06}.csv"
            (out / path).write_bytes(content)
            manifest.add(path, name, subject, hashlib.sha256(content).hexdigest())
    with Table(out / "skipped.csv", "file", "reason") as table:
        for name, reason in sorted(skipped.items()):
            table.add(name, reason)


def rows(path: Path) -> list[dict[str, str]]:
    """The rows of manifest.csv or skipped.csv; raises UserError where it is damaged."""
    try:
        return list(csv.DictReader(io.StringIO(path.read_text(encoding="utf-8"))))
    except (csv.Error, UnicodeDecodeError) as error:
        raise UserError(f"{path} is damaged ({error}): run `dvc repro --force collect`") from None
