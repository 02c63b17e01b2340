"""What happens in a rollout, as it happens: for a terminal, for a pipe, and for programs."""

import sys
from collections.abc import Generator
from contextlib import contextmanager
from typing import Protocol

import click
import msgspec
from rich.console import Console
from rich.markup import escape

from ogrom.deploy import Event, Outcome, Plan, Step


class Progress(Protocol):
    """Is told of a rollout."""

    def event(self, event: Event) -> None:
        """Something happened in a step."""
        ...

    def note(self, line: str) -> None:
        """Something worth a line."""
        ...

    def outcome(self, outcome: Outcome) -> None:
        """It has ended."""
        ...


class Plain:
    """A line for each step that has ended."""

    def event(self, event: Event) -> None:
        """Told when a step ends; what goes on in it is not worth a line of a log."""
        if event.event in {"done", "failed"}:
            click.echo(told(event))

    def note(self, line: str) -> None:
        """On standard error, as it is not what was asked for."""
        click.echo(line, err=True)

    def outcome(self, outcome: Outcome) -> None:
        """The last word; on standard error where it is bad news."""
        click.echo(outcome.message, err=outcome.status != 0)


class Lines:
    """A JSON object for each event, one a line."""

    def event(self, event: Event) -> None:
        """All of them, with the step whole."""
        _json(event)

    def note(self, line: str) -> None:
        """As an object like the others."""
        _json({"event": "note", "detail": line})

    def outcome(self, outcome: Outcome) -> None:
        """As an object like the others."""
        _json({"event": "outcome", **msgspec.to_builtins(outcome)})


class Terminal:
    """The present step moves at the bottom; those that have ended stand above it."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._status = console.status("", spinner="dots")

    def event(self, event: Event) -> None:
        """Fills the moving line in, or leaves it behind."""
        if event.event in {"done", "failed"}:
            self._status.stop()
            colour = "red" if event.event == "failed" else "default"
            environment = event.step.environment
            line = escape(told(event)).replace(
                environment, f"[{environment}]{environment}[/{environment}]", 1
            )
            self._console.print(f"[{colour}]{line}[/{colour}]", highlight=False)
        else:
            self._status.update(escape(f"{_place(event.step)} {event.detail}"))
            self._status.start()

    def note(self, line: str) -> None:
        """Above the moving line."""
        self._console.print(escape(line), style="dim", highlight=False)

    def outcome(self, outcome: Outcome) -> None:
        """The last word."""
        self._status.stop()
        style = "bold green" if outcome.status == 0 else "bold red"
        self._console.print(escape(outcome.message), style=style, highlight=False)

    def close(self) -> None:
        """Leave the terminal as it was."""
        self._status.stop()


@contextmanager
def showing(*, as_json: bool) -> Generator[Progress]:
    """What fits standard output."""
    if as_json:
        yield Lines()
    elif sys.stdout.isatty():
        terminal = Terminal(Console())
        try:
            yield terminal
        finally:
            terminal.close()
    else:
        yield Plain()


def told(event: Event) -> str:
    """A step that has ended, in one line (a failure may have more: a log's tail)."""
    failed = "failed: " if event.event == "failed" else ""
    return f"{_place(event.step)} {failed}{event.detail}  ({event.seconds:.1f} s)"


def planned(plan: Plan) -> str:
    """A plan for people: each step in order, with where it leads."""
    lines = [
        f"{plan.kind} of {plan.release.commit[:12]} to {plan.environment}"
        + (f", from {plan.old.commit[:12]} in {plan.old_environment}" if plan.old else "")
    ]
    for step in plan.steps:
        limits = [f"at least {step.least:g} s"] if step.least else []
        limits += [f"at most {step.most:g} s"] if step.most else []
        lines.append(
            f"  {_place(step)} then {step.works:11} if it fails {step.fails:11} {', '.join(limits)}".rstrip()
        )
    return "\n".join(lines)


def _place(step: Step) -> str:
    return f"{step.environment:6} {step.id:11}"


def _json(value: object) -> None:
    click.echo(msgspec.json.encode(value).decode())
