"""Wires the shop together and runs it: the one place that knows everything."""

from shop.run.settings import Settings, SettingsError
from shop.run.wiring import application, shop

__all__ = ["Settings", "SettingsError", "application", "shop"]
