"""Generated reviews: opinion words in templates, a sixth of them turned by a negation. They show that all is plumbed.

A model of them knows these words and no others; see docs/text.md for what it is worth on real reviews.
"""

import numpy as np

from edge.core.errors import UserError

POSITIVE = """amazing beautiful believable brilliant charming clever compelling convincing dazzling delightful elegant
enchanting engaging entertaining enjoyable excellent exciting fantastic fascinating fresh funny gorgeous
graceful great gripping heartfelt imaginative impressive inspired intelligent lovely magnificent
marvellous masterful memorable moving original outstanding perfect powerful refreshing remarkable
satisfying stunning superb terrific thoughtful thrilling touching wonderful"""
NEGATIVE = """abysmal annoying awful awkward bad bland boring careless cheap clumsy confusing contrived dreadful
dreary dull empty feeble flat forgettable formulaic hollow horrible idiotic incoherent lame laughable
lazy lifeless messy miserable monotonous pathetic pointless poor predictable pretentious ridiculous
shallow silly sloppy stale stupid tedious terrible tiresome ugly unbearable unconvincing uninspired weak"""
THINGS = """acting atmosphere beginning camera cast cinematography comedy costumes dialogue direction drama editing
ending film humour lead movie music pacing performance plot premise romance scenery score screenplay
script setting soundtrack story style villain visuals"""
WHO = ("my sister", "everyone", "the audience", "a friend of mine", "the man next to me", "our whole family")
PLAIN = (  # say what the opinion word says
    "the {thing} is {word}",
    "what a {word} {thing}",
    "i found the {thing} {word} from start to finish",
    "{who} called the {thing} {word} and so do i",
    "a {word} {thing} and a {other} {second}",
    "the {thing} was {word} , and the {second} was even more {other}",
    "truly {word} {thing} , you will talk about it for days",
    "it has a {word} {thing} that stays with you",
)
NEGATED = (  # say the opposite of what the opinion word says
    "the {thing} is not {word} at all",
    "nobody would call this {thing} {word}",
    "{who} told me the {thing} is {word} , but it is not",
    "i never found the {thing} {word}",
)


def generate(count: int, seed: int) -> list[tuple[str, str]]:
    """``count`` different reviews, (text, "positive" or "negative"), half of each; a sixth is negated."""
    rng = np.random.default_rng(seed)
    opinions, things = (NEGATIVE.split(), POSITIVE.split()), THINGS.split()
    found: dict[str, str] = {}
    for _ in range(20 * count):
        label, negated = ("negative", "positive")[len(found) % 2], rng.random() < 1 / 6
        said = opinions[(label == "positive") != negated]
        template = rng.choice(NEGATED if negated else PLAIN)
        (word, other), (thing, second) = rng.choice(said, 2, replace=False), rng.choice(things, 2, replace=False)
        text = template.format(word=word, other=other, thing=thing, second=second, who=rng.choice(WHO))
        found.setdefault(text, label)
        if len(found) == count:
            return list(found.items())
    raise UserError(f"collect.generated = {count}: the templates have no so many different reviews, ask for fewer")
