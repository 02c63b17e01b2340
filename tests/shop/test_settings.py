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
    settings = Settings.from_env({**env, "OGROM_FRESH": "60"})
    assert (60, 0) == (settings.fresh, Settings.from_env(env).fresh)
    assert (("fr-FR", "de-DE"), 7, ()) == (settings.locales, settings.products, settings.origins)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("OGROM_LOCALES", "de-DE,pl-PL"),
        ("OGROM_PRODUCTS", "many"),
        ("OGROM_PRODUCTS", "9" * 400),
        ("OGROM_PRODUCTS", "-1"),
        ("OGROM_FRESH", "1m"),
    ],
)
def test_what_cannot_be_is_named(name, value):
    """With what would be right."""
    with pytest.raises(SettingsError, match=name):
        Settings.from_env({name: value})


@pytest.mark.parametrize(
    ("env", "name"),
    [
        ({"OGROM_USERS": "ftp://host"}, "OGROM_USERS: it does not begin"),
        ({"OGROM_USERS": "https://host/api"}, "needs a secret"),
        ({"OGROM_USERS_TOKEN": "s3cret"}, "not set"),
        ({"OGROM_USERS": "https://u:s3cret@h", "OGROM_USERS_TOKEN": "s3cret"}, "keep the latter"),
        ({"OGROM_LOGSTASH": "host:5044"}, "OGROM_LOGSTASH"),
        ({"OGROM_DB": "shop.db"}, "OGROM_DB: write mysql://"),
        ({"OGROM_DB": "mysql://u:s3cret@h"}, "OGROM_DB: .*name the database"),
        ({"OGROM_DB": "postgres://u:s3cret@h/d"}, "OGROM_DB: .*a database is mysql://"),
        ({"OGROM_DB": "mysql://u:s3cret@h/d?pool=1"}, "OGROM_DB: .*there are ca"),
        ({"OGROM_DEMO": "yes"}, "OGROM_DEMO: it is 1"),
        ({"OGROM_LOGSTASH": "tcp://host"}, "a host and a port"),
    ],
)
def test_a_wrong_address_is_named_and_no_secret_shown(env, name):
    """Which, why, and what would be right."""
    with pytest.raises(SettingsError, match=name) as wrong:
        Settings.from_env(env)
    assert "s3cret" not in str(wrong.value)


def test_secrets_are_masked():
    """Also where they were written in the URL."""
    settings = Settings.from_env({"OGROM_USERS": "https://u:s3cret@host/api"})
    assert ("https://host/api", "s3cret") == (settings.users, settings.users_token.reveal())
    assert "s3cret" not in repr(settings)


def test_a_database_that_others_reach_is_not_filled():
    """Tokens that anybody can read are for one's own machine, unless somebody says so."""
    shared = {"OGROM_DB": "mysql://u:s3cret@h/d"}
    assert Settings.from_env({}).invents
    assert not Settings.from_env({"OGROM_DEMO": "0"}).invents
    assert not Settings.from_env(shared).invents
    assert Settings.from_env({**shared, "OGROM_DEMO": "1"}).invents
    assert "s3cret" not in repr(Settings.from_env(shared))
