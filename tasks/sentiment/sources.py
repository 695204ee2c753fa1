"""Where reviews come from: each source fills a folder with files of a text a line, and source.json."""

import shutil
from pathlib import Path

from edge.core.errors import UserError
from edge.data import archive, fetch
from edge.data.labels import distinct
from edge.modalities.text.lines import Lines, describe
from tasks.sentiment import imdb as keras_form
from tasks.sentiment.reviews import generate

RT_POLARITY = ("5029c5fee45dea53a1533d9f962f9859875115d37f0fd135b0ae2bddcf56e095", "rt_polarity.tar.gz")
IMDB = "https://storage.googleapis.com/tensorflow/tf-keras-datasets/"
REVIEWS = ("69664113be75683a8fe16e3ed0ab59fda8886cb3cd7ada244f7d9544e4676b9f", "imdb.npz")
RANKS = ("bfafd718b763782e994055a2d397834f", "imdb_word_index.json")  # md5: keras publishes no other hash of it


def generated(config, out: Path, seed: int) -> None:
    """Reviews of opinion words in templates, some of them with a negation, half of them positive."""
    reviews = generate(config.generated, seed)
    for label in ("negative", "positive"):
        lines = (text for text, other in reviews if other == label)
        (out / f"{label}.txt").write_text("".join(f"{text}\n" for text in lines), encoding="utf-8")
    describe(out, (Lines(f"{label}.txt", label) for label in ("negative", "positive")))


def rt_polarity(config, out: Path, seed: int) -> None:
    """10,662 sentences of film reviews, half of them positive (Pang and Lee 2005), latin-1."""
    digest, name = RT_POLARITY
    found = []
    with archive.members(fetch.fetch(None, digest, fetch.cache() / name)) as members:
        for member in members.names:
            for suffix, label in ((".neg", "negative"), (".pos", "positive")):
                if member.endswith(f"rt-polarity{suffix}"):
                    (out / f"rt-polarity{suffix}").write_bytes(members.read(member))
                    found.append(Lines(f"rt-polarity{suffix}", label, "latin-1"))
    describe(out, found)


def imdb(config, out: Path, seed: int) -> None:
    """50,000 film reviews in keras' form (Maas et al. 2011): a test half, and words by rank."""
    digest, name = REVIEWS
    reviews = fetch.fetch(IMDB + name, digest, fetch.cache() / name)
    digest, name = RANKS
    ranks = fetch.fetch(IMDB + name, digest, fetch.cache() / name, algorithm="md5")
    words, found = keras_form.ranked(ranks), []
    for part in ("train", "test"):
        parts = keras_form.texts(reviews, part, words)
        for label in ("negative", "positive"):
            name = f"{part}.{label}.txt"
            (out / name).write_text("".join(f"{text}\n" for text, other in parts if other == label), encoding="utf-8")
            found.append(Lines(name, label, part=part))
    describe(out, found, words)


def files(config, out: Path, seed: int) -> None:
    """One's own texts: a folder of files <label>.txt with a text a line.

    Raises UserError where the folder has fewer than two such files, or a name that is no label.
    """
    if config.files.path is None:
        raise UserError("collect.files.path is empty: name the folder of files <label>.txt of source files")
    folder = Path(config.files.path)
    found = sorted(folder.glob("*.txt"))
    if len(found) < 2:
        raise UserError(f"{folder} has {len(found)} files <label>.txt: two or more are needed, a label each")
    try:
        distinct(path.stem for path in found)
    except ValueError as error:
        raise UserError(f"{folder}: the name of a file is its label: {error}") from None
    for path in found:
        shutil.copyfile(path, out / path.name)
    describe(out, (Lines(path.name, path.stem, config.files.encoding) for path in found))


SOURCES = {source.__name__: source for source in (generated, rt_polarity, imdb, files)}
