"""What the shop is told by its environment."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from shop.protocols import LOCALES


class SettingsError(ValueError):
    """A variable that cannot be right; the message names it and says what would be."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How the shop runs.

    Args:
        state: the folder that everything is kept in (`OGROM_STATE`).
        locales: the locales served (`OGROM_LOCALES`, comma-separated).
        products: how many products an empty catalogue is filled with (`OGROM_PRODUCTS`).
        origins: whose pages may use the API (`OGROM_ORIGINS`, comma-separated; "*" for all).
        release: the commit that runs (`OGROM_RELEASE`).
    """

    state: Path = Path(".state")
    locales: tuple[str, ...] = LOCALES
    products: int = 2_000
    origins: tuple[str, ...] = ("*",)
    release: str = ""

    @classmethod
    def from_env(cls, env: Mapping[str, str] = os.environ) -> "Settings":
        """Read from environment variables.

        Raises:
            SettingsError: a variable cannot be right.
        """
        locales = _list(env.get("OGROM_LOCALES", ",".join(LOCALES)))
        if unknown := [each for each in locales if each not in LOCALES]:
            raise SettingsError(
                f"OGROM_LOCALES: {', '.join(unknown)} is not spoken here; choose from {', '.join(LOCALES)}."
            )
        products = env.get("OGROM_PRODUCTS", "2000")
        if not products.isdecimal() or not 0 <= int(products[:9]) <= 1_000_000:
            raise SettingsError(f"OGROM_PRODUCTS: {products!r} is not a number from 0 to 1000000.")
        return cls(
            state=Path(env.get("OGROM_STATE") or ".state"),
            locales=locales or LOCALES,
            products=int(products),
            origins=_list(env.get("OGROM_ORIGINS", "*")),
            release=env.get("OGROM_RELEASE", ""),
        )


def _list(text: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(each.strip() for each in text.split(",") if each.strip()))
