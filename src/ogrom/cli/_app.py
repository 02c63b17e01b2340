"""Which application a command is about: found by `module:name`, and opened whatever it is."""

import importlib
import inspect
import sys
import tomllib
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any, cast

from ogrom.http import Resource, Service
from ogrom.serve import App, AsgiApp

Make = Callable[[], AbstractAsyncContextManager[App]]

NAMES = ("application", "app", "service", "routes")
"""What is looked for in a module that is named alone."""


class AppError(ValueError):
    """The application cannot be found or opened; the message says what to write."""


def declared(folder: Path) -> str:
    """The application that `[tool.ogrom]` in a folder's pyproject.toml names; "" where it names none.

    Raises:
        AppError: the file is no TOML.
    """
    try:
        tables: dict[str, Any] = tomllib.loads((folder / "pyproject.toml").read_text("utf-8"))
    except FileNotFoundError:
        return ""
    except ValueError as error:
        raise AppError(f"pyproject.toml is no TOML: {error}.") from None
    found = tables.get("tool", {}).get("ogrom", {}).get("app", "")
    return str(found)


def load(spec: str, folder: Path) -> AsgiApp | Make:
    """What a specification names, ready to be opened; modules are looked for in the folder first.

    Args:
        spec: `module:name`, `file.py:name`, or either without the name.
        folder: the working directory.

    Raises:
        AppError: there is none, or it is nothing that can be served.
        Exception: whatever the module raises when it is imported.
    """
    place, _, name = spec.partition(":")
    where = folder
    if place.endswith(".py"):
        where = (folder / place).parent.resolve()
        place = Path(place).stem
    sys.path.insert(0, str(where))
    try:
        module = importlib.import_module(place)
    except ModuleNotFoundError as error:
        if error.name not in {place, place.partition(".")[0]}:
            raise
        raise AppError(
            f"There is no module {place!r} here. Write `ogrom dev module:name`, such as `ogrom dev"
            " shop.run:application`, or `ogrom dev hello.py`."
        ) from None
    found = _named(module, place, name)
    made = _opened(found)
    if made is None and callable(found):
        made = _called(found, spec)
    if made is None:
        raise AppError(
            f"{spec} is a {type(found).__name__}. Name a Service, a Resource, routes, or a function"
            " that returns one of them or opens an App."
        )
    return made


def _named(module: Any, place: str, name: str) -> Any:
    if name:
        found = module
        for part in name.split("."):
            if not hasattr(found, part):
                public = [each for each in dir(module) if not each.startswith("_")]
                raise AppError(f"{place} has no {part!r}; it has {', '.join(public[:12])}.")
            found = getattr(found, part)
        return found
    for each in NAMES:
        if hasattr(module, each):
            return getattr(module, each)
    raise AppError(f"{place} has none of {', '.join(NAMES)}. Say which: `ogrom dev {place}:name`.")


def _called(found: Callable[[], Any], spec: str) -> AsgiApp | Make | None:
    try:
        inspect.signature(found).bind()
    except TypeError:
        raise AppError(f"{spec} cannot be called without arguments.") from None
    made = found()
    if hasattr(made, "__aenter__"):  # opened once: what was made only to look is thrown away
        return cast("Make", found)
    return _opened(made)


def _opened(found: Any) -> AsgiApp | Make | None:
    if isinstance(found, AsgiApp):
        return found
    if isinstance(found, App):
        app = found
    elif isinstance(found, Service):
        app = App(service=found)
    elif isinstance(found, Resource):
        app = App(service=Service({"/": cast("Resource[Any]", found)}))  # type: ignore[redundant-cast]
    elif isinstance(found, Mapping):
        app = App(service=Service(cast("Any", found)))
    else:
        return None

    @asynccontextmanager
    async def opening() -> AsyncGenerator[App]:
        yield app

    return opening
