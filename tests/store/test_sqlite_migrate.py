"""Migrations: applied once each, whole or not at all; files from elsewhere and from later are refused."""

import sqlite3
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from nightcrew.domain.errors import StoreError
from nightcrew.store.sqlite.folder import make_file
from nightcrew.store.sqlite.migrate import Migration, migrate, shipped

NOW = datetime(2026, 1, 1, tzinfo=UTC)
EXTRA = Migration(
    9000, "9000_extra.sql", "CREATE TABLE extra (a INTEGER) STRICT; INSERT INTO extra VALUES (1);"
)


@pytest.fixture
def path(tmp_path):
    make_file(tmp_path / "nightcrew.db")
    return tmp_path / "nightcrew.db"


def rows(path, sql):
    connection = sqlite3.connect(path)
    found = connection.execute(sql).fetchall()
    connection.close()
    return found


def apply(path, migrations):
    migrate(path, migrations, now=NOW)


def test_the_shipped_ones_are_numbered_from_one():
    numbers = [one.number for one in shipped()]
    assert numbers == list(range(1, len(numbers) + 1))


def test_each_is_applied_once(path):
    apply(path, shipped())
    apply(path, [*shipped(), EXTRA])
    apply(path, [*shipped(), EXTRA])
    assert rows(path, "SELECT * FROM extra") == [(1,)]
    (last,) = rows(path, "SELECT number, name, checksum, time FROM migrations WHERE number = 9000")
    assert last == (9000, "9000_extra.sql", EXTRA.checksum, 1767225600000000)


def test_a_migration_is_applied_whole_or_not_at_all(path):
    broken = replace(EXTRA, sql="CREATE TABLE extra (a INTEGER); INSERT INTO nowhere VALUES (1);")
    with pytest.raises(StoreError, match="nowhere"):
        apply(path, [*shipped(), broken])
    assert rows(path, "SELECT name FROM sqlite_schema WHERE name = 'extra'") == []
    apply(path, [*shipped(), EXTRA])
    assert rows(path, "SELECT * FROM extra") == [(1,)]


def test_a_file_of_a_newer_version_is_refused(path):
    apply(path, [*shipped(), EXTRA])
    with pytest.raises(StoreError, match=r"newer version.*9000_extra\.sql") as caught:
        apply(path, shipped())
    assert caught.value.metadata["cause"] == "newer_version"


def test_a_migration_that_was_edited_is_refused(path):
    apply(path, [*shipped(), EXTRA])
    with pytest.raises(StoreError, match=r"9000_extra\.sql.*checksum") as caught:
        apply(path, [*shipped(), replace(EXTRA, sql=EXTRA.sql + " ")])
    assert caught.value.metadata["cause"] == "migration_changed"


def test_somebody_elses_file_is_refused_and_left_alone(path):
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE theirs (a INTEGER)")
    connection.close()
    with pytest.raises(StoreError, match="not Nightcrew's") as caught:
        apply(path, shipped())
    assert caught.value.metadata["cause"] == "foreign_file"
    assert rows(path, "SELECT name FROM sqlite_schema") == [("theirs",)]


def test_the_schema_needs_no_sorting_where_it_is_hot(path):
    """The claim, the lists and the log are read straight from an index."""
    apply(path, shipped())
    hot = [
        (
            "SELECT * FROM executions WHERE end_time IS NULL AND agent_id = ? AND state = 'STATE_QUEUED'"
            " AND cancel_requested = 0 ORDER BY started DESC, priority DESC, seq LIMIT 1"
        ),
        "SELECT * FROM executions WHERE asked_for = 1 AND agent_id = ? ORDER BY priority DESC, seq LIMIT 1",
        "SELECT * FROM executions ORDER BY create_time DESC, seq DESC LIMIT 51",
        "SELECT * FROM executions WHERE agent_id = ? ORDER BY create_time DESC, seq DESC LIMIT 51",
        (
            "SELECT * FROM executions WHERE agent_id = ? AND create_time <= ? AND (create_time < ? OR"
            " (create_time = ? AND (seq < ? OR (seq = ? AND 0)))) ORDER BY create_time DESC, seq DESC LIMIT 51"
        ),
        "SELECT * FROM fires ORDER BY nominal_time DESC, seq DESC LIMIT 51",
        "SELECT * FROM logs WHERE execution = 1 AND sequence > 5 ORDER BY sequence LIMIT 5",
    ]
    for sql in hot:
        plan = " / ".join(row[3] for row in rows(path, f"EXPLAIN QUERY PLAN {sql.replace('?', '1')}"))
        assert "INDEX" in plan, sql
        assert "TEMP B-TREE" not in plan, (sql, plan)
