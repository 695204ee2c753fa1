"""Text to word indices by the rules in a model's metadata: the one function that preparation, host and board share.

Standard library and numpy only, so that it can travel.
"""

import json
import re
import unicodedata

import numpy as np

PAD, START, UNKNOWN, UNUSED = "<pad>", "<start>", "<unknown>", "<unused>"
OURS = (PAD, UNKNOWN)  # what the indices before the first word mean
KERAS = (PAD, START, UNKNOWN, UNUSED)  # the same in keras.datasets.imdb: a word of rank r has the index r + 3
WORD = r"\w+(?:'\w+)*"  # letters and digits with apostrophes inside: it's
KERAS_WORD = r"[^\s!\"#$%&()*+,\-./:;<=>?@\[\\\]^_`{|}~]+"  # what Keras' Tokenizer leaves between its filters
DTYPE = np.int16  # an index needs no more; metadata with more words than that are refused


class Words:
    """The rules of a text model: ``Words(metadata)(text)`` is what the model takes, int16 [length].

    ``metadata`` are those of a Spec, or the entries of a model file, where ``text`` is JSON. ``text`` has ``pattern``,
    a regular expression that finds words in lower case; ``unique``, each word of a text once; ``length``, indices of
    an example; ``reserved``, the meaning of the indices before the first word. ``vocabulary`` are the words in the
    order of their indices, with blanks between. Raises ValueError where metadata are none of a text model.
    """

    def __init__(self, metadata: dict):
        try:
            rules = metadata["text"]
            rules = json.loads(rules) if isinstance(rules, str) else rules
            self.pattern, self.unique, self.length = re.compile(rules["pattern"]), rules["unique"], rules["length"]
            self.names = [*rules["reserved"], *metadata["vocabulary"].split()]
            self.first, self.unknown = len(rules["reserved"]), rules["reserved"].index(UNKNOWN)
        except (AttributeError, KeyError, TypeError, ValueError, re.error) as error:
            raise ValueError(f"these are no metadata of a text model ({type(error).__name__}: {error})") from None
        if len(self.names) > np.iinfo(DTYPE).max + 1:
            raise ValueError(f"{len(self.names)} indices are more than {DTYPE.__name__} has")
        self.start = [self.names.index(START)] if START in rules["reserved"] else []
        self.index = {word: number for number, word in enumerate(self.names) if number >= self.first}

    def __call__(self, text: str) -> np.ndarray:
        """The indices of ``text``, int16 [length]."""
        return self.indices(self.tokens(text))

    def tokens(self, text: str) -> list[str]:
        """The words of ``text`` as the vocabulary spells them: composed (NFC), lower case, ’ as '."""
        return tokens(text, self.pattern)

    def indices(self, found: list[str]) -> np.ndarray:
        """Indices of words, int16 [length]: what is too long is cut at the end, what is too short gets zeros there."""
        kept = dict.fromkeys(found) if self.unique else found
        numbers = (self.start + [self.index.get(word, self.unknown) for word in kept])[: self.length]
        return np.pad(np.array(numbers, DTYPE), (0, self.length - len(numbers)))

    def known(self, indices: np.ndarray) -> np.ndarray:
        """Is there a word of the vocabulary? bool [n] for indices [n, length]."""
        return (indices >= self.first).any(axis=-1)

    def text(self, indices: np.ndarray) -> str:
        """What a model is told, for a person: the words, ``<unknown>`` where one has no index of its own."""
        return " ".join(self.names[index] for index in indices if index)


def tokens(text: str, pattern: re.Pattern) -> list[str]:
    """The words that ``pattern`` finds in ``text``, composed (NFC), in lower case, with ’ as '."""
    return pattern.findall(unicodedata.normalize("NFC", text).lower().replace("’", "'"))
