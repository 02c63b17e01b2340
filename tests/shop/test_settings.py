"""A variable that cannot be right stops the service with a message that says which and why."""

import pytest

from shop.protocols import LOCALES
from shop.run import Settings, SettingsError


def test_without_variables_the_defaults_hold():
    """All locales, and a catalogue to look at."""
    assert Settings() == Settings.from_env({})
    assert LOCALES == Settings.from_env({"OGROM_LOCALES": " , "}).locales


def test_variables_are_read():
    """Lists are comma-separated."""
    env = {"OGROM_LOCALES": "fr-FR, de-DE", "OGROM_PRODUCTS": "7", "OGROM_ORIGINS": ""}
    settings = Settings.from_env(env)
    assert (("fr-FR", "de-DE"), 7, ()) == (settings.locales, settings.products, settings.origins)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("OGROM_LOCALES", "de-DE,pl-PL"),
        ("OGROM_PRODUCTS", "many"),
        ("OGROM_PRODUCTS", "9" * 400),
        ("OGROM_PRODUCTS", "-1"),
    ],
)
def test_what_cannot_be_is_named(name, value):
    """With what would be right."""
    with pytest.raises(SettingsError, match=name):
        Settings.from_env({name: value})
