"""The walker: it does a plan's steps one after the other, and knows nothing of what they are for."""

import asyncio
import contextlib
from collections.abc import Callable, Coroutine, Generator, Mapping
from typing import Any, Literal

from msgspec import Struct

from ogrom.deploy._journal import Journal, Line, now
from ogrom.deploy._rollout import GOES_BACK, Step, StepName
from ogrom.deploy._steps import ACTS, Act, Run, StepFailed, marks
from ogrom.deploy._target import DeployError, Fenced

Writes = Callable[[Line], None]


class Event(Struct, frozen=True, omit_defaults=True):
    """Something that happened, for whoever looks on."""

    event: Literal["begin", "progress", "done", "failed"]
    step: Step
    detail: str = ""
    seconds: float = 0


Report = Callable[[Event], None]


class Walked(Struct, frozen=True):
    """Where the walk ended, and what it was like."""

    end: str
    """An id at which no step is: `live`, `unchanged` or `stuck`."""
    seconds: Mapping[str, float]
    """How long each step took."""
    failures: tuple[tuple[Step, str], ...] = ()


class Walker:
    """One walk. Changes: the step whose act runs says what it does by way of `say`."""

    def __init__(
        self,
        run: Run,
        journal: Journal,
        report: Report,
        *,
        stop: asyncio.Event,
        acts: Mapping[StepName, Act] = ACTS,
    ) -> None:
        self._run = run
        self._journal = journal
        self._report = report
        self._stop = stop
        self._acts = acts
        self._step: Step | None = None
        run.say = self.say

    def say(self, detail: str) -> None:
        """Tell how far the present step has got."""
        if self._step is not None:
            self._report(Event("progress", self._step, detail))

    async def walk(self, at: str) -> Walked:
        """From the step of that id to an end.

        Raises:
            Fenced: another deployer has taken over; from that moment on nothing more was touched.
        """
        ids = {step.id for step in self._run.plan.steps}
        seconds: dict[str, float] = {}
        failures: list[tuple[Step, str]] = []
        while at in ids:
            step = self._step = self._run.plan.step(at)
            self._run.lease.check()
            began = self._run.clock.now()
            try:
                detail = await self._do(step)
            except Fenced:
                raise
            except Exception as problem:  # noqa: BLE001 - whatever happens, the table has a row for it
                detail = str(problem) if isinstance(problem, DeployError) else repr(problem)
                with contextlib.suppress(OSError):  # the way back is also gone unrecorded
                    self._write(Line(at=now(), step=step.id, event="failed", detail=detail))
                failures.append((step, detail))
                event, at = "failed", step.fails
            else:
                event, at = "done", step.works
            seconds[step.id] = took = self._run.clock.now() - began
            self._report(Event("failed" if event == "failed" else "done", step, detail, took))
        return Walked(at, seconds, tuple(failures))

    async def _do(self, step: Step) -> str:
        """Write down what is to be done, do it, write down that it was done."""
        run = self._run
        line = Line(at=now(), step=step.id, event="begin")
        if step.name == "shift" and run.marks is None:
            run.marks = marks(await run.target.observe())
            line = Line(at=line.at, step=step.id, event="begin", marks=run.marks)
        self._report(Event("begin", step))
        goes_back = step.name in GOES_BACK
        with _unless_full(ignore=goes_back):
            self._write(line)
        act: Coroutine[Any, Any, str] = _coroutine(self._acts[step.name], run, step)
        detail = await (act if goes_back else self._unless_stopped(act))
        with _unless_full(ignore=goes_back):
            self._write(Line(at=now(), step=step.id, event="done", detail=detail))
        return detail

    def _write(self, line: Line) -> None:
        self._journal.write(line)

    async def _unless_stopped(self, act: Coroutine[Any, Any, str]) -> str:
        """Do it, until it is done or the deployer is asked to stop."""
        doing = asyncio.ensure_future(act)
        stopped = asyncio.ensure_future(self._stop.wait())
        try:
            await asyncio.wait({doing, stopped}, return_when=asyncio.FIRST_COMPLETED)
            if doing.done():
                return doing.result()
        finally:
            for task in (doing, stopped):
                task.cancel()
            await asyncio.wait({doing, stopped})
        self._stop.clear()
        raise StepFailed("it was interrupted")


async def _coroutine(act: Act, run: Run, step: Step) -> str:
    return await act(run, step)


@contextlib.contextmanager
def _unless_full(*, ignore: bool) -> Generator[None, None, None]:
    try:
        yield
    except OSError as problem:
        if not ignore:
            raise StepFailed(f"the journal cannot be written: {problem}") from problem
