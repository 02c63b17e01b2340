"""Which application a command is about: found by `module:name`, and opened whatever it is."""

import importlib
import inspect
import sys
import tomllib
import traceback
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from difflib import get_close_matches
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


def load(spec: str, folder: Path, *, installed: bool = False) -> AsgiApp | Make:
    """What a specification names, ready to be opened.

    Args:
        spec: `module:name`, `file.py:name`, or either without the name.
        folder: the working directory, where modules are looked for before all others;
        installed: or, where this holds, after them. A release must not run what lies about.

    Raises:
        AppError: there is none, or it is nothing that can be served.
        Exception: whatever the module raises when it is imported.
    """
    place, _, name = spec.partition(":")
    where = folder
    if place.endswith(".py"):
        where = (folder / place).parent.resolve()
        place = Path(place).stem
    is_file = place != spec.partition(":")[0]
    sys.path.insert(len(sys.path) if installed and not is_file else 0, str(where))
    try:
        module = importlib.import_module(place)
    except ModuleNotFoundError as error:
        if error.name not in {place, place.partition(".")[0]}:
            raise
        raise AppError(
            f"There is no module {place!r} here. Write module:name, such as shop.run:application, or"
            " a file, hello.py. What lies in a folder of its own (src) has to be installed:"
            " pip install -e ."
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
                close = get_close_matches(part, public, n=1)
                hint = (
                    f"Did you mean {close[0]!r}?" if close else f"It has {', '.join(public[:12])}."
                )
                raise AppError(f"{place} has no {part!r}. {hint}")
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


def told(error: BaseException) -> str:
    """What is wrong: one sentence for what we found out, else the traceback from the developer's code on."""
    if isinstance(error, AppError):
        return str(error)
    if isinstance(error, SyntaxError):
        return "".join(traceback.format_exception_only(error)).strip()
    frames = traceback.extract_tb(error.__traceback__)
    hidden = ("importlib", str(Path(__file__).parents[1]), "contextlib.py", "asyncio", "uvloop")
    own = [frame for frame in frames if not any(each in frame.filename for each in hidden)]
    shown = ["Traceback (most recent call last):\n", *traceback.format_list(own or list(frames))]
    return "".join([*shown, *traceback.format_exception_only(error)]).strip()
