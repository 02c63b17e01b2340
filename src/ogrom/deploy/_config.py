"""What a repository says of its own deployment: the table `[tool.ogrom]` of its pyproject.toml.

    [tool.ogrom]                     what the artifact is made of, and how one instance starts
    ├── rollout                      how a rollout goes: shares, times, how much is kept
    └── targets.<name>               a place where a release is live

What an artifact is made of is read from its commit; where it goes, from the working tree.
"""

import re
import tomllib
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from http import HTTPMethod
from pathlib import Path, PurePosixPath
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct
from msgspec.inspect import StructType, type_info

from ogrom.deploy._target import DeployError

KINDS = ("local",)
"""The kinds of target that there are."""

PAGE = "pyproject.toml"

Percent = Annotated[int, Meta(ge=1, le=100)]
Seconds = Annotated[float, Meta(ge=0, le=86_400)]
Some = Annotated[int, Meta(ge=1, le=1_000)]


class ConfigError(DeployError):
    """`[tool.ogrom]` cannot be right; the message names the key and says what to write."""


class Rollout(Struct, frozen=True, forbid_unknown_fields=True):
    """How a rollout goes."""

    weights: tuple[Percent, ...] = (5, 25, 100)
    """The new release's shares of the traffic, in percent: rising, and 100 at last."""
    watch_seconds: Seconds = 1.0
    """For how long each share but the last is watched before the next."""
    start_seconds: Seconds = 60.0
    """How long an instance may take until it is healthy."""
    drain_seconds: Seconds = 60.0
    """How long old sessions may take to end before they are cut."""
    keep: Some = 5
    """How many releases `prune` keeps beside those that are needed."""


class Local(Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="local"):
    """One machine: instances behind HAProxy, in two environments."""

    listen: str = "127.0.0.1:8080"
    """Where clients connect."""
    page: str = "127.0.0.1:8081"
    """Where the page that shows it is served; loopback only."""
    instances: str | int = 2
    """How many run: a number, or the bounds between which it is scaled: `1..4`."""

    @property
    def bounds(self) -> tuple[int, int]:
        """The least and the most instances."""
        least, _, most = str(self.instances).partition("..")
        return int(least), int(most or least)


class Config(Struct, frozen=True, forbid_unknown_fields=True):
    """All of `[tool.ogrom]`."""

    name: str
    """The service's name, in logs and file names."""
    lock: str
    """The file of hash-locked dependencies, from the repository's root."""
    command: str
    """How an instance starts: a console script of the projects, and its arguments."""
    app: str = ""
    """What `ogrom dev` runs: `module:name`."""
    projects: tuple[str, ...] = (".",)
    """The folders whose wheels go into the artifact beside the dependencies."""
    warm: tuple[str, ...] = ()
    """Requests that warm an instance up, such as `GET /v1/products?page=2`."""
    look: str = "/"
    """The path that people are shown, to have a first look at."""
    rollout: Rollout = Rollout()
    targets: Mapping[str, Local] = {}

    @property
    def requests(self) -> tuple[tuple[str, str], ...]:
        """The warming requests as method and path."""
        return tuple(_request(each) for each in self.warm)

    def target(self, name: str | None = None) -> tuple[str, Local]:
        """The target of that name; without a name the only one, or the first.

        Raises:
            ConfigError: there is none; the message lists those that there are.
        """
        if name is None and self.targets:
            return next(iter(self.targets.items()))
        if name is not None and name in self.targets:
            return name, self.targets[name]
        if not self.targets:
            raise ConfigError(
                f'{PAGE} names no target. Write [tool.ogrom.targets.{name or "production"}] with kind = "local".'
            )
        raise ConfigError(
            f"There is no target {name!r}{_nearest(str(name), self.targets)}. "
            f"{PAGE} names: {', '.join(self.targets)}."
        )


def load(repository: Path) -> Config:
    """The configuration in the working tree.

    Raises:
        ConfigError: there is none, or it cannot be right.
    """
    path = repository / PAGE
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise ConfigError(
            f"{path} is missing. Run this in the service's repository, whose {PAGE} has [tool.ogrom]."
        ) from None
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}.") from None
    return parse(content, where=str(path))


def parse(content: bytes, *, where: str = PAGE) -> Config:
    """Read the configuration from the bytes of a pyproject.toml.

    Args:
        content: of the file.
        where: the file, for messages.

    Raises:
        ConfigError: it cannot be right; the message names the key and says what to write.
    """
    try:
        tables: dict[str, Any] = tomllib.loads(content.decode())
    except ValueError as error:  # TOML's, and UTF-8's
        raise ConfigError(f"{where} is no TOML: {error}.") from None
    table = _within(tables, "tool", "ogrom")
    if table is None:
        raise ConfigError(
            f"{where} has no [tool.ogrom]. Write it with name, lock, projects and command; "
            "docs/artifact.md shows one."
        )
    try:
        _check_keys(table)
        config = msgspec.convert(table, Config)
        _check(config)
    except msgspec.ValidationError as error:
        raise ConfigError(f"{where}: {_said(error)}") from None
    except ConfigError as error:
        raise ConfigError(f"{where}: {error}") from None
    return config


def local_with(local: Local, listen: str | None, page: str | None) -> Local:
    """A target with other addresses than the file's, where they are given.

    Raises:
        ConfigError: they are no addresses.
    """
    changed = msgspec.structs.replace(local, listen=listen or local.listen, page=page or local.page)
    _check_local("ogrom up", "given", changed)
    return changed


def _within(tables: Mapping[str, Any], *keys: str) -> dict[str, Any] | None:
    found: Any = tables
    for key in keys:
        found = found.get(key) if isinstance(found, dict) else None  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
    return found if isinstance(found, dict) else None  # pyright: ignore[reportUnknownVariableType]


# Keys: the table is walked beside the types, so that a misspelt key is named with the right one


def _check_keys(table: Mapping[str, Any]) -> None:
    _known(table, Config, "tool.ogrom")
    rollout, targets = table.get("rollout"), table.get("targets")
    if isinstance(rollout, dict):
        _known(rollout, Rollout, "tool.ogrom.rollout")  # pyright: ignore[reportUnknownArgumentType]
    if isinstance(targets, dict):
        for name, target in targets.items():  # pyright: ignore[reportUnknownVariableType]
            where = f"tool.ogrom.targets.{name}"
            if not isinstance(target, dict):
                raise ConfigError(f'{where} is no table. Write [{where}] with kind = "local".')
            _check_kind(target, where)  # pyright: ignore[reportUnknownArgumentType]
            _known(target, Local, where, "kind")  # pyright: ignore[reportUnknownArgumentType]


def _check_kind(target: Mapping[str, Any], where: str) -> None:
    kind = target.get("kind")
    if kind not in KINDS:
        what = "is missing" if kind is None else f"= {kind!r} is none{_nearest(str(kind), KINDS)}"
        choice = " or ".join(f'kind = "{each}"' for each in KINDS)
        raise ConfigError(f"{where}.kind {what}. Write {choice}.")


def _known(table: Mapping[str, Any], type_: type[Struct], where: str, *more: str) -> None:
    info = type_info(type_)
    assert isinstance(info, StructType)
    fields = [*more, *(each.encode_name for each in info.fields)]
    for key in table:
        if key not in fields:
            raise ConfigError(
                f"{where}.{key} is unknown{_nearest(key, fields)}. Known are {', '.join(fields)}."
            )
    for field in info.fields:
        if field.required and field.encode_name not in table:
            raise ConfigError(f"{where}.{field.encode_name} is missing. {_EXAMPLES[field.name]}")


_EXAMPLES = {
    "name": 'Write the service\'s name: name = "shop".',
    "lock": "Write the file of hash-locked dependencies: "
    'lock = "requirements.txt" (uv pip compile --generate-hashes pyproject.toml -o requirements.txt).',
    "command": 'Write how an instance starts: command = "shop serve".',
}


def _nearest(word: str, words: Sequence[str] | Mapping[str, object]) -> str:
    found = get_close_matches(word, list(words), n=1)
    return f" (did you mean {found[0]}?)" if found else ""


def _said(error: msgspec.ValidationError) -> str:
    """The message of msgspec with the key in front, as TOML names it."""
    problem, _, path = str(error).partition(" - at `$")
    return f"tool.ogrom{path.rstrip('`').replace('[...]', '')}: {problem}."


# What types cannot say


_NAME = re.compile(r"[a-z][a-z0-9-]{0,39}")
_INSTANCES = re.compile(r"([1-9][0-9]?)(?:\.\.([1-9][0-9]?))?")
_LOOPBACK = re.compile(r"(?:127(?:\.\d{1,3}){3}|\[::1\]|localhost):\d{1,5}")
_PLACE = re.compile(r"(?:[^\s:\[\]]+|\[[0-9a-fA-F:.]+\]|\*):(\d{1,5})")


def _check(config: Config) -> None:
    if not _NAME.fullmatch(config.name):
        raise ConfigError(
            f"tool.ogrom.name = {config.name!r}: it is part of file names. Write small letters, digits and '-'."
        )
    _check_path("lock", config.lock)
    if not config.projects:
        raise ConfigError('tool.ogrom.projects is empty. Write projects = ["."].')
    for project in config.projects:
        _check_path("projects", project)
    if not config.command.split():
        raise ConfigError(f"tool.ogrom.command is empty. {_EXAMPLES['command']}")
    for request in config.warm:
        _request(request)
    _check_weights(config.rollout.weights)
    for name, target in config.targets.items():
        _check_local(f"tool.ogrom.targets.{name}", name, target)


def _check_path(key: str, path: str) -> None:
    pure = PurePosixPath(path)
    if not path or pure.is_absolute() or ".." in pure.parts:
        raise ConfigError(
            f"tool.ogrom.{key}: {path!r} is not inside the repository. Write a path from its root, without '..'."
        )


def _request(text: str) -> tuple[str, str]:
    method, _, path = text.partition(" ")
    if method not in HTTPMethod.__members__ or not path.startswith("/") or " " in path:
        raise ConfigError(
            f'tool.ogrom.warm: {text!r} is no request. Write method and path: "GET /v1/products?page=2".'
        )
    return method, path


def _check_weights(weights: tuple[int, ...]) -> None:
    if not weights or weights[-1] != 100 or list(weights) != sorted(set(weights)):
        raise ConfigError(
            f"tool.ogrom.rollout.weights = {list(weights)}: the shares rise, and end with all of the traffic. "
            "Write weights = [5, 25, 100]."
        )


def _check_local(where: str, name: str, target: Local) -> None:
    if not _NAME.fullmatch(name):
        raise ConfigError(
            f"{where}: a target's name is part of file names. Write small letters, digits and '-'."
        )
    found = _PLACE.fullmatch(target.listen)
    if not found or int(found[1]) > 65535:
        raise ConfigError(
            f'{where}.listen = {target.listen!r} is no address. Write listen = "127.0.0.1:8080".'
        )
    found = _LOOPBACK.fullmatch(target.page)
    if not found or int(target.page.rpartition(":")[2]) > 65535:
        raise ConfigError(
            f"{where}.page = {target.page!r}: whoever reaches the page can roll back, so it is for this "
            'machine alone. Write page = "127.0.0.1:8081".'
        )
    counts = _INSTANCES.fullmatch(str(target.instances))
    if not counts or target.bounds[0] > target.bounds[1]:
        raise ConfigError(
            f"{where}.instances = {target.instances!r} is no number of instances. "
            'Write instances = 2, or bounds: instances = "1..4".'
        )
