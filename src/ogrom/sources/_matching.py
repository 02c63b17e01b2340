"""What a question's text asks for, whichever engine answers it: words, the thing, and neighbours.

Both engines are told the same by this, and rank by the same figures. Nothing is ever parsed as a
query, so no text can be a wrong one.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

from ogrom.sources._analysis import Analysis
from ogrom.sources._query import Range

ENOUGH = 20
"""With fewer documents that have all the words, those that lack one are shown after them."""

WORDS = 32
"""How many words of a question count; the rest are left out."""

TIER = 256.0
"""What having a word is worth: more than all that frequency and place can add up to."""

ROOT = 0.7
"""What a word's root is worth where the word itself is asked for."""

NEAR = 2
"""How many words may stand between two that belong together ("rotes langes weites Kleid")."""

NEARNESS = 0.25
"""What it is worth that they do: enough to decide between documents that are alike otherwise."""

FACET_VALUES = 200
"""How many values of a facet are counted, the most frequent first."""

COUNTED = 128
"""For how many questions it is remembered what all their pages share."""

_INT64 = 2**63


class Sought(NamedTuple):
    """One term that a document should have."""

    term: str
    root: str | None
    """What it is made of, which will do as well, though less."""

    worth: float
    """What having it is worth: twice as much for the thing itself."""


class Question(NamedTuple):
    """A text as what to look for."""

    words: Sequence[Sought] = ()
    near: Sequence[tuple[str, str]] = ()
    """Terms that should stand near each other: for each two words that follow each other."""


def understand(text: str, analysis: Analysis) -> Question | None:
    """What the text asks for; None where it has no word to look for."""
    if not text or text.isspace():
        return Question()
    words = list(dict.fromkeys(analysis.words(text)))[:WORDS]
    roots = {
        term: word.root if len(word.sought) == 1 else None for word in words for term in word.sought
    }
    if not roots:
        return None
    heads = analysis.lexicon.heads
    thing = max(roots, key=lambda term: heads.get(term, 0))
    return Question(
        [
            Sought(term, root, 2 * TIER if term == thing and term in heads else TIER)
            for term, root in roots.items()
        ],
        # Of a compound it is the last part that its neighbours are about.
        [(one.sought[-1], two.sought[-1]) for one, two in pairwise(words)],
    )


def enough(order: str | None) -> int:
    """How many must have all the words, that none is shown which lacks one."""
    # Where the order is not relevance, near misses would come before what was asked for.
    return ENOUGH if order is None else 1


def bounds(numbers: Range) -> tuple[int | None, int | None]:
    """A range as 64 bits can tell it."""
    return _int64(numbers.least), _int64(numbers.most)


def _int64(number: int | None) -> int | None:
    return number if number is None else max(-_INT64, min(number, _INT64 - 1))


def sound(text: str) -> str:
    """The text as it can be kept: half of a surrogate pair is no character."""
    return text.encode("utf-8", "replace").decode()
