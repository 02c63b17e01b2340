"""SQL with named parameters, as a driver wants it that counts them."""

import re
from functools import lru_cache
from itertools import pairwise
from typing import NamedTuple

from ogrom.sources._db import Misuse
from ogrom.sources._values import excerpt

_TOKEN = re.compile(
    r"""
      '(?:[^']|'')*'            # what is quoted is left alone …
    | "(?:[^"]|"")*"
    | `[^`]*`
    | --(?=\s|$)[^\n]*          # … and so are comments
    | \#[^\n]*
    | /\*.*?\*/
    | ::|:=
    | :(?P<name>[A-Za-z_]\w*)
    | (?P<mark>[?;])
    | (?P<word>[A-Za-z_]\w*)
    """,
    re.VERBOSE | re.DOTALL,
)

_COMMENT = re.compile(r"--(?=\s|$)[^\n]*|\#[^\n]*|/\*.*?\*/", re.DOTALL)

_READS = {"SELECT", "SHOW", "EXPLAIN", "DESCRIBE", "DESC", "VALUES", "TABLE", "WITH"}
_WRITES = {"INSERT", "UPDATE", "DELETE", "REPLACE"}
_DEFINES = {"CREATE", "ALTER", "DROP", "RENAME", "TRUNCATE"}


class Statement(NamedTuple):
    """One statement."""

    sql: str
    """With ? for each parameter."""

    names: tuple[str, ...]
    """Of the parameters, in the order of their marks."""

    verb: str
    """Its first word, in capitals."""

    reads: bool
    """Whether it cannot write."""

    @property
    def defines(self) -> bool:
        """Whether it changes the schema, which commits by itself on MySQL."""
        return self.verb in _DEFINES

    def locking(self) -> "Statement":
        """The same, keeping what it reads from being changed until the transaction ends."""
        if self.verb not in ("SELECT", "WITH") or self.sql.upper().endswith("FOR UPDATE"):
            return self
        return self._replace(sql=f"{self.sql} FOR UPDATE")


@lru_cache(1024)
def parsed(sql: str) -> Statement:
    """The statement in `sql`, whose parameters are written `:name`.

    Raises:
        Misuse: there is more than one statement, or a parameter without a name.
    """
    text: list[str] = []
    names: list[str] = []
    words: list[str] = []
    end = place = 0
    for token in _TOKEN.finditer(sql):
        if name := token["name"]:
            names.append(name)
            text.append(sql[place : token.start()] + "?")
            place = token.end()
        elif word := token["word"]:
            words.append(word.upper())
        elif token["mark"] == ";":
            if _COMMENT.sub("", sql[token.end() :]).strip():
                raise Misuse(f"One can only execute one statement at a time: {excerpt(sql)}")
            end = token.start()
            break
        elif token["mark"]:
            raise Misuse(f"Parameters have names, :id rather than ?: {excerpt(sql)}")
    text.append(sql[place : end or len(sql)])
    verb = words[0] if words else ""
    # A "WITH … DELETE" writes; "FOR UPDATE" does not.
    writing = verb == "WITH" and any(
        word in _WRITES and before != "FOR" for before, word in pairwise(words)
    )
    reads = verb in _READS and not writing
    return Statement("".join(text).strip(), tuple(names), verb, reads)
