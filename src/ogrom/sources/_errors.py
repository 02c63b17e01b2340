"""What goes wrong with a source of data, by who must act. Every source raises these and no others.

SourceError
├── Unavailable        whoever runs it: it cannot be reached, or cannot answer
│   ├── Busy           nobody: too many ask at this moment; later it works
│   ├── TimedOut       nobody, or whoever runs it: the answer did not come in time
│   ├── CircuitOpen    nobody: it has failed so often that it is left alone for some seconds
│   └── BadAnswer      whoever runs the other side: it answers, and not what was agreed
├── Constraint         the caller: the data refuses this value
│   └── Duplicate      … as a row with this key is there already
└── Misuse             the programmer: what was asked of the source can never be right

`Unavailable` is what may be tried again, what a stale answer may stand in for, and what becomes 503.
"""


class SourceError(Exception):
    """Something is wrong with a source of data."""


class Unavailable(SourceError):
    """The source cannot answer; the message says what to do about it.

    Args:
        message: what is wrong and what to do.
        retry_after: in how many seconds it may be worth asking again, where that is known.
    """

    def __init__(self, message: str = "", *, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class Busy(Unavailable):
    """Others kept the source for longer than our patience. Nothing was done: try again."""


class TimedOut(Unavailable):
    """The answer did not come in time. Whether anything was done is not known.

    Args:
        message: who was asked, and for how long we waited.
        early: the request's deadline came before the source had the time that it is given, so
            this says little about the source.
    """

    def __init__(self, message: str = "", *, early: bool = False) -> None:
        super().__init__(message)
        self.early = early


class CircuitOpen(Unavailable):
    """The source was not asked: it has failed too often a moment ago."""


class BadAnswer(Unavailable):
    """The source answers, and not what was agreed: garbage, another type, too much."""


class Constraint(SourceError):
    """The data refuses the value: it is missing, out of range, or refers to nothing."""


class Duplicate(Constraint):
    """A row with this key is there already."""


class Misuse(SourceError):
    """What was asked of the source can never be right: mend the code that asks."""
