"""What a MySQL's URL says."""

from pathlib import Path

import pytest

from ogrom.sources._mysql_url import Place, masked, parse
from ogrom.sources.sql import Misuse, connect, validate


def test_all_of_it(tmp_path: Path) -> None:
    """Percent-encoding is undone; replicas share all but the place."""
    options = parse(
        "mysql://sh%40p:p%2F%3A@[::1]:3307/shop?min=2&max=5&read_timeout=1.5"
        "&replica=r1:3308,r2&replica=r3"
    )

    assert ("sh@p", b"p/:", "shop", 2, 5, 1.5) == (
        options.user,
        options.password,
        options.database,
        options.min,
        options.max,
        options.read_timeout,
    )
    assert "[::1]:3307" == str(options.primary)
    assert (Place("r1", 3308), Place("r2"), Place("r3")) == options.replicas
    assert "/run/db.sock" == str(parse("mariadb://a@h/b?socket=/run/db.sock").primary)
    assert "p/:" not in f"{options!r}{options}"


@pytest.mark.parametrize(
    ("url", "complaint"),
    [
        ("mysql://u:s3cret@h", "name the database"),
        ("mysql://u:s3cret@h/a/b", "name the database"),
        ("mysql://h/a", "name the user"),
        ("mysql://u:s3cret@h:port/a", "[Pp]ort"),
        ("mysql://u:s3cret@[h/a", "URL"),
        ("mysql://u:s3cret@h/a?pool=3", "pool= means nothing here; there are ca,"),
        ("mysql://u:s3cret@h/a?max=0", "max=0 is not a number of connections"),
        ("mysql://u:s3cret@h/a?min=9&max=2", "min=9 is more than max=2"),
        ("mysql://u:s3cret@h/a?read_timeout=soon", "read_timeout=soon is not a number of seconds"),
        ("mysql://u:s3cret@h/a?ssl=yes", "ssl=yes is none of off, on"),
        ("mysql://u:s3cret@h/a?ca=/none", "ca=/none is not a file"),
        ("mysql://u:s3cret@h/a?replica=x@h", "a replica is replica=host:port"),
        ("mysql://u:s3cret@h/a?replica=h:p", "a replica is replica=host:port"),
        ("postgres://u:s3cret@h/a", "a database is mysql://"),
        ("sqlite://file.db", "a database is mysql://"),
        ("sqlite:///", "a database is mysql://"),
    ],
)
def test_what_cannot_be_right(url: str, complaint: str) -> None:
    """The message says what would be, and never the password."""
    with pytest.raises(Misuse, match=complaint) as caught:
        validate(url)

    assert "s3cret" not in str(caught.value)


def test_a_file_of_authorities_that_is_none(tmp_path: Path) -> None:
    """It is read when the URL is."""
    path = tmp_path / "ca.pem"
    path.write_text("no certificate")

    with pytest.raises(Misuse, match=r"ca\.pem.*PEM"):
        validate(f"mysql://u:s3cret@h/a?ca={path}")


def test_masked() -> None:
    """Who and where may be shown; what else was written there may be anything."""
    assert "mysql://u:***@h:1/a?…" == masked("mysql://u:s3cret@h:1/a?x=y")
    assert "mysql://h/a" == masked("mysql://h/a")


async def test_sqlite_by_a_url(tmp_path: Path) -> None:
    """Three slashes and a path from here, four and one from the root."""
    validate("sqlite:///here.db")
    async with connect(f"sqlite:///{tmp_path}/a.db") as db:
        assert 1 == await db.one(int, "SELECT 1")
    assert (tmp_path / "a.db").exists()
