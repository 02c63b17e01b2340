"""The further questions about HTTP, put to every peer: which of them only Ogrom answers rightly.

Run it as `make bench-questions`; it writes docs/http-questions.md. No load is made.
"""

from pathlib import Path
from tempfile import TemporaryDirectory

from _bench import report
from _further import FURTHER
from _questions import Question, asked
from servers import CEILING, OGROM, chosen, up

PAGE = Path(__file__).resolve().parents[1] / "docs" / "http-questions.md"
INTRODUCTION = """\
# Questions about HTTP

What a client may rightly ask of an HTTP server, put byte by byte to the same small API (a product by
id, a search, a comment that is posted), written for each server and framework as its documentation shows
it (`bench/peers`). Where a framework leaves an answer to the application, it is asked all the same.
Written by `make bench-questions`. A number is an RFC and its section; *must* and *should* are the RFC's
words, and what has neither is allowed and useful, not demanded.
"""


def cell(*, right: bool) -> str:
    """How an answer is shown."""
    return "✓" if right else "·"


def page(answers: dict[str, dict[str, bool]]) -> str:
    """The page, in Markdown."""
    peers = [name for name in answers if name != OGROM]

    def is_alone(question: Question) -> bool:
        return answers[OGROM][question.text] and not any(
            answers[name][question.text] for name in peers
        )

    alone = [each for each in FURTHER if is_alone(each)]
    others = [each for each in FURTHER if not is_alone(each)]
    lines = [
        INTRODUCTION,
        f"## {len(alone)} that only Ogrom answers rightly, of these {len(peers) + 1}",
        "",
        "| | by |",
        "| --- | --- |",
        *(f"| {each.text} | {each.section or 'our own'} |" for each in alone),
        "",
        "## The others",
        "",
        "| | by | " + " | ".join([OGROM, *peers]) + " |",
        "| --- | --- |" + " --- |" * len(answers),
    ]
    lines += [
        f"| {each.text} | {each.section or 'our own'} | "
        + " | ".join(cell(right=answers[name][each.text]) for name in (OGROM, *peers))
        + " |"
        for each in others
    ]
    totals = [f"{sum(answers[name].values())} of {len(FURTHER)}" for name in (OGROM, *peers)]
    lines.append("| **rightly, of all** | | " + " | ".join(totals) + " |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Ask everyone, show it, write it down."""
    answers: dict[str, dict[str, bool]] = {}
    with TemporaryDirectory() as state:
        for peer in chosen():
            if peer.name != CEILING and not peer.root:  # the shop has other paths, and is Ogrom
                with up(peer, Path(state)) as server:
                    answers[peer.name] = asked(server.port, FURTHER)
    rows = [
        (each.text, *(cell(right=answers[name][each.text]) for name in answers)) for each in FURTHER
    ]
    counts = {name: float(sum(found.values())) for name, found in answers.items()}
    report(
        "questions",
        f"{len(FURTHER)} further questions about HTTP",
        ("", *answers),
        [*rows, ("rightly", *(f"{count:.0f}" for count in counts.values()))],
        {f"{name}: right": count for name, count in counts.items()},
    )
    PAGE.write_text(page(answers), encoding="utf-8")


if __name__ == "__main__":
    main()
