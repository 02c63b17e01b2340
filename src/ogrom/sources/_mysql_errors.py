"""MySQL's and MariaDB's errors as ours: who must act.

The numbers are https://mariadb.com/kb/en/mariadb-error-code-reference/ and, from 3000 on, MySQL's own,
https://dev.mysql.com/doc/mysql-errors/8.4/en/server-error-reference.html. What is not in the table is
told by its SQLSTATE class, and what that does not tell is the programmer's.
"""

from asyncmy import errors

from ogrom.sources._db import Busy, Constraint, Duplicate, Misuse, SourceError, Unavailable
from ogrom.sources._values import excerpt

DEADLOCK = 1213
"""The server has undone the whole transaction."""

UNDONE = (DEADLOCK, 1020, 1180)
"""So has it after these."""

REPREPARE = (1615, 1243)
"""The schema has changed under a prepared statement: nothing was done."""

THERE_ALREADY = (1050, 1060, 1061, 1068, 1091, 1826, 1051, 1054, 1146)
"""A change of the schema that has been made before: it exists, or what is to go is gone."""

_RIGHTS = "Look at the user's rights, and at user and password in the URL."
_LOGIN = "Look at user and password in the URL, and whether the user has to come by TLS (ssl=on)."
_LOCKED = "Unlock the account, or name another user in the URL."
_EXPIRED = "Give the user a new password."
_TLS = "Look at ssl= and ca= in the URL: the server speaks no TLS, or does not prove what ca= says."
_NO_COLLATION = 1273
_TOO_OLD = "MySQL 8.0.17 or newer is needed, or MariaDB 10.3 or newer."
_ROOM = "Make room on the server's disk; then it goes on by itself."
_AGAIN = "It recovers by itself once the server does."

_KINDS: dict[type[SourceError], tuple[int, ...]] = {
    Duplicate: (1022, 1062, 1586, 1859),
    Constraint: (1048, 1216, 1217, 1263, 1264, 1364, 1406, 1451, 1452, 1690, 3819, 4025),
    Busy: (1020, 1040, 1203, 1205, DEADLOCK, 1226, 1637, 3572),
    Misuse: (1265, 1292, 1366, 1411),
}
_BY_NUMBER = {number: kind for kind, numbers in _KINDS.items() for number in numbers}

_BY_CLASS: dict[str, type[SourceError]] = {
    "08": Unavailable,
    "21": Misuse,
    "22": Misuse,
    "23": Constraint,
    "25": Unavailable,  # a server that only reads
    "28": Unavailable,
    "40": Busy,
    "42": Misuse,
    "70": Unavailable,
}

_ADVICE = {
    1021: _ROOM,
    1114: _ROOM,
    1044: _RIGHTS,
    1045: _LOGIN,
    1049: "Make the database, or name another in the URL.",
    1142: _RIGHTS,
    1143: _RIGHTS,
    1227: _RIGHTS,
    1698: _LOGIN,
    1030: "Look into the server's log.",
    1037: _AGAIN,
    1041: _AGAIN,
    1053: _AGAIN,
    1180: _AGAIN,
    1181: _AGAIN,
    1290: "The server only reads: name the primary in the URL.",
    1317: _AGAIN,
    1461: "Fewer connections (max=), or a larger max_prepared_stmt_count.",
    1820: _EXPIRED,
    1862: _EXPIRED,
    1836: "The server only reads: name the primary in the URL.",
    1927: _AGAIN,
    1969: "It took longer than read_timeout= allows.",
    3024: "It took longer than read_timeout= allows.",
    3118: _LOCKED,
    3159: "It wants TLS: add ssl=on to the URL, or ca=FILE with the authorities that it is known by.",
    4151: _LOCKED,
}
"""What to do where the server cannot; all of these are Unavailable."""


def number(error: BaseException) -> int:
    """The error's number; 0 where it has none."""
    first = error.args[0] if error.args else 0
    return first if isinstance(first, int) else 0


def is_answer(error: BaseException) -> bool:
    """Whether the server itself said so, in full: the connection is as good as before.

    2xxx are the client's own, a lost connection for the most part.
    """
    return (
        isinstance(error, errors.MySQLError)
        and not 2000 <= number(error) < 3000
        and number(error) not in (0, 1053, 1927)
        and getattr(error, "sqlstate", None) is not None
    )


def explained(error: Exception, place: object, sql: str = "") -> SourceError:
    """The error as ours; one without a statement is that we are not let in."""
    code = number(error)
    said = (str(error.args[1]) if len(error.args) > 1 else str(error)).rstrip(".")
    if code in _ADVICE:
        return Unavailable(f"{place}: {said}. {_ADVICE[code]}")
    if not sql and "[SSL" in said and "EOF" not in said:  # that is a server which goes
        return Unavailable(f"{place}: {said}. {_TLS}")
    if not is_answer(error):
        return Unavailable(f"{place}: {said or type(error).__name__}. {_AGAIN}")
    kind = _BY_NUMBER.get(code) or _BY_CLASS.get(str(getattr(error, "sqlstate", ""))[:2], Misuse)
    if not sql and not issubclass(kind, Unavailable):
        return Unavailable(f"{place}: {said}. {_TOO_OLD if code == _NO_COLLATION else ''}".rstrip())
    if kind is Misuse:
        return Misuse(f"{said}: {excerpt(sql)}")
    if issubclass(kind, Unavailable):
        return kind(f"{place}: {said}.")
    return kind(said)
