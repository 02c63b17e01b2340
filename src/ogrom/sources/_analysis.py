"""How text becomes terms: one analysis per language, the same for what is kept and what is asked.

A word becomes its stem. In German and Dutch it also becomes the stems of its parts, "Lederjacken"
those of "Leder" and "Jacke", because shoppers and catalogues disagree on where to put the space.

Which words are parts of others nobody lists: `learn` finds them in the catalogue's own texts.
What it found, a `Lexicon`, must be kept with the terms that were made by it.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from math import prod
from typing import NamedTuple
from unicodedata import combining, normalize

import tantivy
from msgspec import Struct, field, structs


class Language(NamedTuple):
    """What the analysis has to know of a language."""

    name: str
    """As the stemmer calls it."""

    links: tuple[str, ...] = ()
    """What may stand between the parts of a compound; none where words are not compounded."""

    dropped: tuple[str, ...] = ()
    """What a first part may have lost at its end, as "Baumwolle" in "Baumwollhose"."""

    participle: re.Pattern[str] | None = None
    """How "gestreift" is made of "Streifen": the group is the root."""


LANGUAGES: Mapping[str, Language] = {
    "de": Language(
        "german",
        links=("", "s", "n", "en", "es", "er", "e"),
        dropped=("", "e", "en"),
        participle=re.compile(r"(?:ge|be|ver)(.{3,}?)e?t"),
    ),
    "nl": Language(
        "dutch",
        links=("", "s", "n", "en", "e", "er"),
        dropped=("", "e", "en"),
        participle=re.compile(r"(?:ge|be|ver)(.{3,}?)[dt]"),
    ),
    "fr": Language("french"),
    "en": Language("english"),
}

WORD_LIMIT = 48
"""Longer words are cut: a splitter tries every letter, and a compound of ours has five parts."""

SHORTEST = 3
"""Shorter words ("am", "in") are found inside almost any other."""

SHORTEST_HEAD = 4
"""So are three letters at the end of a word; they are mostly an ending."""

SEEN = 2
"""How often a word must occur to be a part of others: a misprint occurs once."""

PRODUCTIVE = 3
"""With how many words a part must combine that never stands alone ("Strick-")."""

_WORD = re.compile(r"[^\W_]+(?:-[^\W_]+)*")


class Lexicon(Struct, frozen=True):
    """What one catalogue taught about its language's words. Everything in it is a stem."""

    language: str
    stems: Mapping[str, int] = field(default_factory=dict[str, int])
    """The words that occur, and how often: the parts that compounds are made of."""

    modifiers: frozenset[str] = frozenset()
    """First parts that never stand alone, as they are written."""

    common: frozenset[str] = frozenset()
    """Compounds more common than what they end in: who says "ärmellos" means that very word."""

    heads: Mapping[str, int] = field(default_factory=dict[str, int])
    """How many compounds end in a word. In a shop it is the things sold that end the most."""


class Word(NamedTuple):
    """One word of a text as terms."""

    whole: str
    parts: tuple[str, ...] = ()
    """Of a compound, the last being what it is and the others what it is like."""

    root: str | None = None
    """What a participle is made of."""

    common: bool = False
    """Whether the compound is meant as it stands."""

    @property
    def kept(self) -> Iterator[str]:
        """What a text is kept under: each side of the word, so that any of them finds it."""
        yield self.whole
        yield from (part for part in self.parts if part != self.whole)
        if self.root is not None:
            yield self.root

    @property
    def sought(self) -> tuple[str, ...]:
        """What a text must be kept under to have this word."""
        return self.parts if self.parts and not self.common else (self.whole,)


class Analysis:
    """Turns text into words by one lexicon. It remembers the words that it has seen last."""

    def __init__(self, lexicon: Lexicon) -> None:
        self.lexicon = lexicon
        self._language = LANGUAGES[lexicon.language]
        fold = tantivy.Filter.ascii_fold()
        stemmer = tantivy.Filter.stemmer(self._language.name)
        stop = tantivy.Filter.stopword(self._language.name)
        raw = tantivy.Tokenizer.raw
        # Accents go after stemming, which needs them. That "ue" is "ü" the stemmer knows itself.
        self._stemmer = tantivy.TextAnalyzerBuilder(raw()).filter(stemmer).filter(fold).build()
        self._stop = tantivy.TextAnalyzerBuilder(raw()).filter(stop).build()
        self.word = lru_cache(4096)(self._word)
        self.stem = lru_cache(8192)(self._stem)

    def words(self, text: str) -> list[Word]:
        """The words of a text in their order, without those that say nothing ("mit", "the")."""
        return [word for written in tokens(text) if (word := self.word(written)) is not None]

    def terms(self, text: str) -> list[str]:
        """What a text is kept under."""
        return [term for word in self.words(text) for term in word.kept]

    def says_nothing(self, word: str) -> bool:
        """Whether the word is one of the language's stopwords."""
        return not self._stop.analyze(word)

    def split(self, word: str) -> tuple[str, ...]:
        """The stems of a compound's parts; nothing where it is none."""
        parts = self.likeliest(word) if self._language.links else None
        if parts is None or (self._is_common(word) and not self._is_productive(parts[-1])):
            return ()
        return tuple(inner for part in parts for inner in self._inner(part))

    def _inner(self, part: str) -> tuple[str, ...]:
        """The parts of a part: "Strickjackenkleid" has three, "Baumwollhemd" but two."""
        return (not self._is_common(part) and self.split(part)) or (part,)

    def _is_common(self, word: str) -> bool:
        return self.stem(word) in self.lexicon.common

    def _is_productive(self, head: str) -> bool:
        # "Baumwolle" is hardly a kind of "Wolle": next to nothing else ends in that.
        return self.lexicon.heads.get(head, 0) >= PRODUCTIVE

    def _word(self, written: str) -> Word | None:
        if "-" in written:
            return self._hyphenated(written)
        if self.says_nothing(written):
            return None
        parts, root = self.split(written), self._root(written)
        return Word(self.stem(written), parts, root, self._is_common(written))

    def _hyphenated(self, written: str) -> Word | None:
        # "Slive-Kleid" is a compound whose parts need no guessing; "T-Shirt" is also "Tshirt".
        parts = [part for part in written.split("-") if not self.says_nothing(part)]
        terms = [term for part in parts for term in self.split(part) or (self.stem(part),)]
        if not terms:
            return None
        named = tuple(term for term in terms if len(term) > 1)
        return Word(self.stem(written.replace("-", "")), named)

    def _stem(self, word: str) -> str:
        return next(iter(self._stemmer.analyze(word)), word)

    def _root(self, word: str) -> str | None:
        pattern = self._language.participle
        match = pattern and pattern.fullmatch(self.stem(word))
        if not match:
            return None
        root = self.stem(match[1])
        return root if root in self.lexicon.stems else None

    def likeliest(self, word: str) -> tuple[str, ...] | None:
        """The likeliest parts: those whose counts have the highest geometric mean."""
        best: tuple[float, tuple[str, ...]] | None = None
        for cut in range(SHORTEST, len(word) - SHORTEST_HEAD + 1):
            head = self.stem(word[cut:])
            if head not in self.lexicon.stems:
                continue
            modifier = self._modifier(word[:cut])
            if modifier is None:
                continue
            parts = (*modifier, head)
            likely = self._likelihood(parts)
            if best is None or likely > best[0]:
                best = likely, parts
        return best and best[1]

    def _likelihood(self, parts: tuple[str, ...]) -> float:
        counts = [self.lexicon.stems.get(part, 1) for part in parts]
        return float(prod(counts) ** (1 / len(counts)))

    def _modifier(self, written: str) -> tuple[str, ...] | None:
        """What stands before a head: a word, with or without a link, or itself a compound."""
        bare = [
            written.removesuffix(link)
            for link in self._language.links
            if written.endswith(link) and len(written) - len(link) >= SHORTEST
        ]
        for base in bare:
            for ending in self._language.dropped:
                stem = self.stem(base + ending)
                if stem in self.lexicon.stems and not self.says_nothing(base):
                    return (stem,)
        if written in self.lexicon.modifiers:
            return (self.stem(written),)
        for base in bare:
            if len(base) >= SHORTEST + SHORTEST_HEAD and (parts := self.likeliest(base)):
                return parts
        return None


def tokens(text: str) -> Iterator[str]:
    """The words as they are written, in lower case; hyphens hold together."""
    for match in _WORD.finditer(normalize("NFKC", text).lower()):
        yield match[0][:WORD_LIMIT].rstrip("-")


def learn(language: str, texts: Iterable[str]) -> Lexicon:
    """The lexicon of a catalogue. The same texts, in whatever order, teach the same."""
    reader = Analysis(Lexicon(language))
    written = Counter(part for text in texts for word in tokens(text) for part in word.split("-"))
    counts: Counter[str] = Counter()
    for word, count in written.items():
        if not word.isdigit() and not reader.says_nothing(word):
            counts[reader.stem(word)] += count
    stems = {
        stem: count
        for stem, count in sorted(counts.items())
        if count >= SEEN and len(stem) >= SHORTEST
    }
    if not LANGUAGES[language].links:
        return Lexicon(language, stems)
    lexicon = Lexicon(language, stems, _modifiers(reader, written, stems))
    return _weigh(Analysis(lexicon), written, counts)


def _modifiers(
    reader: Analysis, written: Iterable[str], stems: Mapping[str, int]
) -> frozenset[str]:
    combined: defaultdict[str, set[str]] = defaultdict(set)
    for word in written:
        for cut in range(SHORTEST, len(word) - SHORTEST_HEAD + 1):
            if (head := reader.stem(word[cut:])) in stems:
                combined[word[:cut]].add(head)
    return frozenset(word for word, heads in combined.items() if len(heads) >= PRODUCTIVE)


def _weigh(reader: Analysis, written: Iterable[str], counts: Mapping[str, int]) -> Lexicon:
    """Add what only the splits themselves can tell: what to take at its word, and the heads."""
    common: set[str] = set()
    heads: Counter[str] = Counter()
    for word in sorted(written):
        if parts := reader.likeliest(word):
            stem, head = reader.stem(word), parts[-1]
            if counts[stem] > counts[head]:
                common.add(stem)
            else:
                heads[head] += 1
    return structs.replace(reader.lexicon, common=frozenset(common), heads=dict(heads))


def collation(text: str) -> str:
    """A key that puts texts into the order of a dictionary: accents and case count last."""
    plain = normalize("NFKD", text).casefold()
    return "".join(char for char in plain if not combining(char)) + "\0" + text
