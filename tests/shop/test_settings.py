"""A variable that cannot be right stops the service with a message that says which and why."""

import re

import pytest
from click.testing import CliRunner

from shop.protocols import LOCALES
from shop.run import Settings, SettingsError
from shop.run.cli import main


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


USERS = "https://identity.example/api"

WRONG = [
    (
        {"OGROM_LOCALES": "de-DE,pl-PL"},
        "OGROM_LOCALES: pl-PL is not spoken here; choose from de-DE",
    ),
    ({"OGROM_LOCALES": "de"}, "OGROM_LOCALES: de is not spoken"),
    ({"OGROM_PRODUCTS": "many"}, "OGROM_PRODUCTS: 'many' is not a number from 0 to 1000000"),
    ({"OGROM_PRODUCTS": "1e3"}, "OGROM_PRODUCTS: '1e3'"),
    ({"OGROM_PRODUCTS": "1000001"}, "OGROM_PRODUCTS: '1000001'"),
    ({"OGROM_ORIGINS": "shop.example"}, "OGROM_ORIGINS: 'shop.example' is no origin"),
    ({"OGROM_ORIGINS": "*,https://shop.example/"}, "OGROM_ORIGINS: .*without a path"),
    ({"OGROM_RELEASE": "a\r\nX: y"}, "OGROM_RELEASE: it is sent in a header field"),
    ({"OGROM_RELEASE": "a" * 101}, "OGROM_RELEASE: .*100 of them"),
    ({"OGROM_DB": "shop.db"}, "OGROM_DB: write mysql://"),
    ({"OGROM_DB": "mysql://u:s3cret@h"}, "OGROM_DB: .*name the database"),
    ({"OGROM_DB": "mysql://u:s3cret@h:port/d"}, "OGROM_DB: "),
    ({"OGROM_DB": "mysql://u:s3cret@h:99999/d"}, "OGROM_DB: "),
    ({"OGROM_DB": "postgres://u:s3cret@h/d"}, "OGROM_DB: .*a database is mysql://"),
    ({"OGROM_DB": "mysql://u:s3cret@h/d?pool=1"}, "OGROM_DB: .*there are ca"),
    ({"OGROM_DB": "mysql://u:s3cret@h/d?max=none"}, "OGROM_DB: "),
    ({"OGROM_DB": "mysql://u:s3cret@h/d?ssl=perhaps"}, "OGROM_DB: "),
    ({"OGROM_DEMO": "yes"}, "OGROM_DEMO: it is 1"),
    (
        {"OGROM_USERS": "ftp://host", "OGROM_USERS_TOKEN": "s3cret"},
        "OGROM_USERS: it does not begin",
    ),
    ({"OGROM_USERS": "https://u:s3cret@h:port/api"}, "OGROM_USERS: it is no URL"),
    ({"OGROM_USERS": "https://", "OGROM_USERS_TOKEN": "s3cret"}, "OGROM_USERS: it names no host"),
    ({"OGROM_USERS": "https://u:s3cret@h/api?key=s3cret"}, "OGROM_USERS: .*a query or a fragment"),
    ({"OGROM_USERS": USERS}, "OGROM_USERS needs a secret.*set OGROM_USERS_TOKEN"),
    ({"OGROM_USERS_TOKEN": "s3cret"}, "OGROM_USERS_TOKEN .*not set: set both"),
    ({"OGROM_USERS": "https://u:s3cret@h", "OGROM_USERS_TOKEN": "s3cret"}, "keep the latter"),
    ({"OGROM_USERS": USERS, "OGROM_USERS_TOKEN": "s3cret two"}, "OGROM_USERS_TOKEN: no bearer"),
    ({"OGROM_USERS": USERS, "OGROM_USERS_TOKEN": "s3cretä"}, "OGROM_USERS_TOKEN: no bearer"),
    ({"OGROM_SEARCH": "search.example"}, "OGROM_SEARCH: it does not begin with http://"),
    ({"OGROM_SEARCH": "http://u:s3cret@h:port/p"}, "OGROM_SEARCH: its host or port"),
    ({"OGROM_SEARCH": "http://u:s3cret@/p"}, "OGROM_SEARCH: it names no host"),
    ({"OGROM_SEARCH": "http://u:s3cret@h/Shop"}, "OGROM_SEARCH: 'Shop' cannot begin"),
    ({"OGROM_SEARCH": "http://u:s3cret@h/shop?x=1"}, "OGROM_SEARCH: .*after its path"),
    ({"OGROM_LOGSTASH": "host:5044"}, "OGROM_LOGSTASH: it does not begin with tcp://"),
    ({"OGROM_LOGSTASH": "udp://host:5044"}, "OGROM_LOGSTASH: it does not begin with tcp://"),
    ({"OGROM_LOGSTASH": "tcp://host"}, "OGROM_LOGSTASH: it needs a host and a port"),
    ({"OGROM_LOGSTASH": "tcp://host:0"}, "OGROM_LOGSTASH: it needs a host and a port"),
    ({"OGROM_LOGSTASH": "tcp://host:5044/log"}, "OGROM_LOGSTASH: .*no more"),
    ({"OGROM_STATE": "/dev/null/state"}, "OGROM_STATE: nothing can be kept in /dev/null/state"),
    ({"PORT": "many"}, "PORT.*'many' is not a valid integer"),
]


@pytest.mark.parametrize(("env", "complaint"), WRONG, ids=str)
def test_a_wrong_one_stops_the_service(env, complaint):
    """One line says which, why, and what would be right; no secret, no stack."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("shop.run.cli.serve", lambda *_: pytest.fail("it was served"))
        done = CliRunner().invoke(main, ["serve"], env={"OGROM_STATE": None, **env})
    said = " ".join(done.output.split())
    assert done.exit_code in (1, 2)
    assert isinstance(done.exception, SystemExit)
    assert re.search(complaint, said), said
    assert 1 == said.count("Error: ")
    assert "s3cret" not in said


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
