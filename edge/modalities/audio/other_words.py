"""What is said when nobody says a keyword: common words, near misses of the keywords, pieces of them, and phrases.

Most false accepts come from words that sound like a keyword. ``choose`` makes such words for whatever keywords are set.
Two texts are compared by the phonemes that espeak-ng gives them, so that a word that is spelled otherwise and sounds
the same (``no`` and ``know``) is never taken for another word.
"""

import re
import subprocess
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from edge.core.errors import UserError

# Short common English words: everyday nouns, verbs and function words, and what people say to devices.
WORDS = tuple(
    """able about above account across act add after again age ago ahead air all alarm alone along also always amber
    and angle animal answer any apple april arm around arrow art ask at ate august aunt away axe baby back bad bag
    ball band bank bar base bath be beach bean bear beat bed bee before begin behind believe bell belt bench bend best
    bet better big bike bill bird bit bite black blood blow blue board boat body bone book boot born both bottle bowl
    box boy branch bread break brick bridge bring broad brother brown brush build bus busy but butter buy cake call
    calm came camera can candle cap car card care carry case cash cat catch cave cell chain chair chalk change cheap
    check cheese chest chicken child chin choose church city claim clap class clean clear climb clock close cloth
    cloud club coal coast coat code coffee coin cold come cook cool copper copy corn cost cotton could count cousin
    cover cow crash cream cross crowd crown cry cup curtain cut dance dark date day dead deal dear death deep deer
    dental desk dial did dig dinner dirt dish do dog doll dollar done door dot double doubt down dozen draw dream dress
    drink drive drop drum dry duck due dull dust each ear early earth east easy eat edge egg eight elbow eleven else
    empty end enjoy enter even ever every eye face fact fail fair fall family fan far farm fast fat father fear feather
    feed feel feet fell fence few field fifty fight fill film find fine finger finish fire first fish fist fit five fix
    flag flat flight floor flour flow flower fly fog fold follow food foot for force fork form forty forward found four
    fox free fresh friend frog from front fruit fry full fun funny game garden gas gate gave get giant gift girl give
    glad glass glove glue goal goat gold golf gone good goose got grape grass grave gray great green grew ground group
    grow guess guest guide gun guy habit hair half hall hammer hand handle hang happen happy hard hat hate have he head
    health hear heart heat heavy hello help hen her here hide high hill him hip his hit hold hole home honey hope horse
    hot hour house how huge human hundred hungry hunt hurry hurt ice idea if ill in inch ink inside iron island it
    jacket jam jar jaw jelly jet job join joke joy judge juice july jump june jury just keep kept kettle key kick kid
    kind king kiss kitchen kite knee knife knock lady lake lamb lamp land large last late laugh law lay lead leaf lean
    learn least leave led leg lemon lend less lesson let letter level library lid lie life lift light like line lion
    lip list listen little live load loaf lock log lonely long look loose lose loss lost lot loud love low luck lunch
    machine mad magic mail main make man many map march mark market mask match mate matter may me meal mean meat
    medal meet melt men mess met metal middle might mile milk mind mine minute miss mix model moment money monkey month
    moon more morning moth mother motor mountain mouse mouth move much mud mug music must my nail name narrow nation
    near neck need needle nerve nest net never new news next nice night nine nod noise none noon north nose not note
    nothing now number nurse nut oak ocean october odd of offer office often oil old one onion only open orange order
    other our out oven over own pack page paid pain paint pair pan pants paper parent park part party pass past path
    pause pay peace peach pear pen pencil people pepper phone photo piano pick picture pie piece pig pin pine pink pipe
    pitch place plain plan plant plate play please plenty pocket poem point pole police pond pool poor pop potato pot
    pour power press price print prize proud public pull pup pure push put quarter queen question quick quiet quite
    rabbit race radio rain raise ran rang rat raw reach read ready real reason red rent rest rice rich ride rife ring
    ripe rise river road roar rob rock roll roof room root rope rose rough round row rub rude rule run sad safe said
    sail salad salt same sand sat save saw say scale school science score sea search season seat second secret see seed
    seem sell send sense sent set seven several shade shake shape share sharp she sheep sheet shelf shine ship shirt
    shoe shop short shot should shoulder shout show shut sick side sight sign silk silly silver simple since sing
    single sink sister sit six size skin skirt sky sleep slice slide slip slow small smell smile smoke snack snail
    snake snow so soap soccer social sock soft soil sold some son song soon sort soul sound soup south space speak
    speed spell spend spoon sport spot spread spring square stage stair stamp stand star start state stay steak steal
    steam steel steep step stick still stone stood stool storm story stove strange straw street string strong study
    sudden sugar suit summer sun sunday supper sure surface sweet swim switch table tail take talk tall tank tape taste
    tax tea teach team tear teeth tell ten tent test than thank that the them then there thick thief thin thing think
    third thirty this those though thousand thread three throat throw thumb thunder ticket tie tiger tight till time
    tin tiny tip tired toast today toe together tomato tone tongue tonight too took tool tooth top touch towel tower
    town toy track trade traffic train travel tray tree trip trouble truck true trust try tube turn turtle twelve
    twenty twice two type uncle under until upper us use useful valley van vast very vest view village violin visit
    voice volume vote wait wake walk wall want war warm wash waste watch water wave way we weak wear weather wedding
    week weight well went were west wet what wheel when where which while whisper white who whole why wide wife wild
    will win wind window wine wing winter wire wise wish with woman wonder wood wool word work world worm worry worth
    would wow wrap write wrong yard yarn year yell yellow yesterday yet yoga you young your zebra zero zone
    zoo""".split()  # noqa: SIM905
)

# Spellings of the parts of a syllable: one of them exchanged makes a near miss of any word.
ONSETS = "b bl br ch d dr f fl fr g gl gr h j k kl kr l m n p pl pr r s sh sk sl sn st t th tr v w y z".split()  # noqa: SIM905
VOWELS = "a e i o u ay ee oo ow igh oy".split()  # noqa: SIM905
CODAS = "b ck d f ft g l lt m mp n nd nt p pt r s sh sk st t th v x z".split()  # noqa: SIM905
SYLLABLE = re.compile(r"\b(y(?=[aeiou])|[^aeiouy\W]*)([aeiouy]+)([a-z]*?)([^aeiouy\W]*)\b")

SHARES = {"word": 0.65, "near miss": 0.15, "phrase": 0.15, "piece": 0.05}


class Text(NamedTuple):
    """What to say; only the part from ``start`` to ``end`` of the utterance is kept, as shares of its length."""

    text: str
    start: float = 0.0
    end: float = 1.0


def choose(keywords: Sequence[str], count: int, words: Sequence[str], rng: np.random.Generator) -> list[Text]:
    """``count`` texts in random order, none of which sounds like one of ``keywords``.

    ``SHARES`` are single ``words``, near misses (a keyword with one part of a syllable exchanged), phrases of two or
    three ``words``, and pieces (less than half of a keyword). Each kind begins again when all of it has been said.
    Raises UserError where all ``words`` are keywords.
    """
    keys = {phonemes(word) for word in keywords}
    words = [word for word, sound in zip(words, sounds(words), strict=True) if sound not in keys]
    if count and not words:
        raise UserError("no unknown words are left to speak: all of them are keywords")
    near = near_misses(keywords)
    near = [text for text, sound in zip(near, sounds(near), strict=True) if sound not in keys]
    kinds = rng.choice(list(SHARES), count, p=list(SHARES.values())).tolist()
    singles, misses = _in_turn(words, count, rng), _in_turn(near or words, count, rng)
    keywords = _in_turn(keywords, count, rng)
    texts = []
    for kind in kinds:
        if kind == "word":
            texts.append(Text(next(singles)))
        elif kind == "near miss":
            texts.append(Text(next(misses)))
        elif kind == "phrase":
            texts.append(Text(" ".join(words[k] for k in rng.integers(len(words), size=rng.integers(2, 4)))))
        else:
            length = float(rng.uniform(0.25, 0.4))
            start = rng.integers(2) * (1 - length)
            texts.append(Text(next(keywords), start, start + length))
    return texts


def near_misses(keywords: Sequence[str]) -> list[str]:
    """Every keyword with the beginning, the vowel or the end of one of its words exchanged; sorted, none twice."""
    found = set()
    for keyword in keywords:
        text = keyword.lower()
        for match in SYLLABLE.finditer(text):
            onset, vowel, middle, coda = match.groups()
            changed = [other + vowel + middle + coda for other in ONSETS]
            changed += [onset + other + middle + coda for other in VOWELS]
            changed += [onset + vowel + middle + other for other in CODAS]
            found.update(text[: match.start()] + word + text[match.end() :] for word in changed)
    return sorted(found - {keyword.lower() for keyword in keywords})


def sounds(words: Sequence[str]) -> list[str]:
    """``phonemes`` of many texts without punctuation, by one process."""
    lines = _espeak("\n".join(words)).splitlines() if words else []
    if len(lines) != len(words):
        raise UserError(f"espeak-ng gives {len(lines)} transcriptions of {len(words)} words: write letters only")
    return [re.sub(r"[\s',:_]", "", line) for line in lines]


def phonemes(text: str) -> str:
    """The phonemes of a text by espeak-ng, without stress, length and spaces: equal where two texts sound the same."""
    return re.sub(r"[\s',:_]", "", _espeak(text))


def _espeak(text: str) -> str:
    """One line of phonemes a line of text."""
    command = ["espeak-ng", "-q", "-x", "-v", "en-us"]
    return subprocess.run(command, input=text + "\n", capture_output=True, text=True, check=True).stdout


def _in_turn(texts: Sequence[str], count: int, rng: np.random.Generator) -> Iterator[str]:
    """``count`` of ``texts``, in a new random order each time that all have been given."""
    rounds = range(0, count, len(texts) or 1)
    order = [k for _ in rounds for k in rng.permutation(len(texts))]
    return iter([texts[k] for k in order])
