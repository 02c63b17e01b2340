"""SQL with named parameters, counted."""

import pytest

from ogrom.sources._statement import parsed
from ogrom.sources.sql import Misuse


@pytest.mark.parametrize(
    ("sql", "native", "names"),
    [
        ("SELECT 1", "SELECT 1", ()),
        ("SELECT :a, :b_2, :a", "SELECT ?, ?, ?", ("a", "b_2", "a")),
        ("SELECT ':a', \":b\", `:c`, :d", "SELECT ':a', \":b\", `:c`, ?", ("d",)),
        ("SELECT 'it''s :a', :b", "SELECT 'it''s :a', ?", ("b",)),
        (r"SELECT '\', :a, '\'", r"SELECT '\', ?, '\'", ("a",)),
        ("SELECT 1 -- :a\n, :b", "SELECT 1 -- :a\n, ?", ("b",)),
        ("SELECT 1 # :a\n, :b", "SELECT 1 # :a\n, ?", ("b",)),
        ("SELECT /* :a ; ? */ :b", "SELECT /* :a ; ? */ ?", ("b",)),
        ("SET @x := :a", "SET @x := ?", ("a",)),
        ("SELECT a::b, '12:30'", "SELECT a::b, '12:30'", ()),
        (" SELECT :ä ; ", "SELECT :ä", ()),
        ("SELECT :a;\n-- that is all", "SELECT ?", ("a",)),
    ],
)
def test_names_become_marks(sql: str, native: str, names: tuple[str, ...]) -> None:
    """But for those in quotes and comments, where nothing is touched."""
    assert (native, names) == parsed(sql)[:2]


@pytest.mark.parametrize(
    ("sql", "reads", "defines"),
    [
        ("select 1", True, False),
        ("/* first */ SELECT 1", True, False),
        ("(SELECT 1) UNION (SELECT 2)", True, False),
        ("WITH a AS (SELECT 1) SELECT * FROM a", True, False),
        ("WITH a AS (SELECT 1) SELECT * FROM a FOR UPDATE", True, False),
        ("WITH a AS (SELECT 1) DELETE FROM b", False, False),
        ("WITH a AS (SELECT 'DELETE') SELECT 1", True, False),
        ("INSERT INTO a SELECT 1", False, False),
        ("alter table a add b int", False, True),
        ("", False, False),
    ],
)
def test_what_kind_it_is(sql: str, reads: bool, defines: bool) -> None:
    """By its first word; a WITH may yet write."""
    statement = parsed(sql)
    assert (reads, defines) == (statement.reads, statement.defines)


def test_a_read_locks_what_it_reads() -> None:
    """Once, and only where there is something to lock."""
    locked = parsed("SELECT a FROM b").locking()
    assert "SELECT a FROM b FOR UPDATE" == locked.sql
    assert locked == locked.locking()
    assert "SHOW TABLES" == parsed("SHOW TABLES").locking().sql


@pytest.mark.parametrize(
    ("sql", "complaint"),
    [("SELECT 1; SELECT 2", "one statement at a time"), ("SELECT ?", "have names")],
)
def test_what_is_refused(sql: str, complaint: str) -> None:
    """What a driver would do in silence, or could not do."""
    with pytest.raises(Misuse, match=complaint):
        parsed(sql)
