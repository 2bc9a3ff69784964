"""Damaged files and others' files: a start refuses with what to do and changes nothing, the doctor names what is wrong."""

import random
import shutil
import sqlite3
from contextlib import closing
from datetime import UTC, datetime

import pytest

from nightcrew.domain.errors import StoreError
from nightcrew.ports.upkeep import Severity
from nightcrew.store.sqlite.examining import examine
from nightcrew.store.sqlite.folder import FILE_NAME
from nightcrew.store.sqlite.history import NOTE_NAME
from nightcrew.store.sqlite.migrate import migrate, shipped
from nightcrew.store.sqlite.salvaging import salvage
from nightcrew.store.sqlite.store import SqliteStore
from nightcrew.system.ids import SystemIds
from nightcrew.testing.clock import ManualClock

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
EVENTS = 2000


def store_of(folder):
    return SqliteStore(folder, clock=ManualClock(), ids=SystemIds())


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A store with enough in it that tables and indexes are trees, closed as it should be."""
    folder = tmp_path_factory.mktemp("whole") / "data"
    folder.mkdir(mode=0o700)
    path = folder / FILE_NAME
    path.touch(0o600)
    migrate(path, shipped(), now=NOW)
    with closing(sqlite3.connect(path)) as connection:
        rows = [(f"e{n}", f"{random.Random(n).random()}" * 20) for n in range(EVENTS)]
        connection.executemany(
            "INSERT INTO events (id, source, type, subject, time, agent_id, execution_id, cause_sequence, actor,"
            " extensions, data) VALUES (?, '/s', 't', '', 0, '', '', 0, '', '{}', ?)",
            rows,
        )
        connection.execute("INSERT INTO meta VALUES ('incarnation', 'one')")
        connection.commit()
    (folder / NOTE_NAME).write_text(f"one {EVENTS}\n")
    (folder / NOTE_NAME).chmod(0o600)
    return folder


@pytest.fixture
def data(whole, tmp_path):
    shutil.copytree(whole, tmp_path / "data")
    return tmp_path / "data"


def root(path, name):
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute("SELECT rootpage FROM sqlite_schema WHERE name = ?", (name,)).fetchone()[0]


def put(path, offset, raw):
    with path.open("r+b") as file:
        file.seek(offset)
        file.write(raw)


def header(path):
    put(path, 0, b"\xde\xad\xbe\xef" * 4)


def cut(path):
    path.write_bytes(path.read_bytes()[: -4096 * 20])


def cut_short(path):
    path.write_bytes(path.read_bytes()[:50])


def in_table(path):
    put(path, (root(path, "events") - 1) * 4096, b"\xff" * 4096)


def in_index(path):
    put(path, (root(path, "events_published") - 1) * 4096, b"\x00" * 4096)


def in_schema(path):
    put(path, 100, b"\xff" * 1000)


def empty(path):
    path.write_bytes(b"")


def text(path):
    path.write_text("Dear diary, today I was not a database.\n" * 100)


def foreign(path):
    path.unlink()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE theirs (a)")


def newer(path):
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("INSERT INTO migrations VALUES (9000, '9000_later.sql', 'x', 0)")
        connection.commit()


DAMAGES = {
    header: "no SQLite database",
    cut: "cut short",
    cut_short: "no SQLite database",
    in_table: "damaged",
    in_index: "damaged",
    in_schema: "damaged",
    empty: f"is empty, and had {EVENTS} events",
    text: "no SQLite database",
    foreign: "not Nightcrew's",
    newer: "newer version",
}


def snapshot(folder):
    left_by_readers = {f"{FILE_NAME}-shm", "nightcrew.lock"}
    return {one.name: one.read_bytes() for one in folder.iterdir() if one.name not in left_by_readers}


@pytest.mark.parametrize(("damage", "says"), DAMAGES.items(), ids=lambda one: getattr(one, "__name__", ""))
async def test_a_start_refuses_and_changes_nothing(data, damage, says):
    damage(data / FILE_NAME)
    before = snapshot(data)
    for _ in range(2):
        with pytest.raises(StoreError, match=says) as caught:
            await store_of(data).open()
        assert snapshot(data) == before
    if damage not in {foreign, newer}:
        assert caught.value.metadata["cause"] == "corrupt"
        assert "nightcrew restore FILE" in caught.value.message
        assert "nightcrew doctor" in caught.value.message


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda one: one.__name__)
@pytest.mark.parametrize("full", [False, True])
def test_the_doctor_names_it_and_changes_nothing(data, damage, full):
    damage(data / FILE_NAME)
    before = snapshot(data)
    found = look(data, full=full)
    assert any(one.severity is Severity.ERROR for one in found.values()), found
    assert all(
        one.advice for one in found.values() if one.severity is Severity.ERROR and one.check != "migrations"
    )
    assert snapshot(data) == before


def look(folder, **more):
    found = examine(folder, known=shipped(), key_file=folder / "secret.key", **more)
    assert len({one.check for one in found}) == len(found)
    return {one.check: one for one in found}


def test_the_doctor_finds_nothing_in_a_whole_one(data):
    assert {one.severity for one in look(data, full=True).values()} == {Severity.OK}


async def test_a_log_that_is_damaged_in_its_middle_is_not_passed_over(data, make):
    """SQLite reads up to the damage and drops the commits behind it, which were acknowledged."""
    store = store_of(data)
    await store.open()
    for _ in range(30):
        await store.write(lambda tx: tx.events.append(make.event()))
    killed = data.parent / "killed"
    shutil.copytree(data, killed)
    await store.close()
    log = killed / f"{FILE_NAME}-wal"
    assert look(killed)["integrity"].severity is Severity.OK
    torn = shutil.copytree(killed, data.parent / "torn")
    put(log, log.stat().st_size // 2, b"\xff" * 100)
    assert look(killed)["log_whole"].severity is Severity.ERROR
    before = snapshot(killed)
    with pytest.raises(StoreError, match=r"log of .* is damaged: at least \d+ commits"):
        await store_of(killed).open()
    assert snapshot(killed) == before
    log.unlink()
    await store_of(killed).open()

    # The end of the log may be torn by a power failure: what was not synced was not answered.
    log = torn / f"{FILE_NAME}-wal"
    put(log, log.stat().st_size - 2000, b"\xff" * 100)
    assert look(torn)["log_whole"].severity is Severity.OK
    store = store_of(torn)
    await store.open()
    assert await store.reads.event_bounds() == (1, EVENTS + 29)
    await store.close()


async def test_a_lost_log_shows_in_the_note(data, make):
    store = store_of(data)
    await store.open()
    await store.write(lambda tx: tx.events.append(make.event()))
    lost = data.parent / "lost"
    shutil.copytree(data, lost)
    await store.close()
    shutil.copy(data / NOTE_NAME, lost)
    (lost / f"{FILE_NAME}-wal").unlink()
    assert look(lost)["history"].severity is Severity.WARNING


async def test_an_empty_file_without_a_past_is_a_new_store(data):
    empty(data / FILE_NAME)
    (data / NOTE_NAME).unlink()
    store = store_of(data)
    await store.open()
    assert await store.reads.event_bounds() == (1, 0)
    await store.close()


STEP = "INSERT INTO steps VALUES (1, {}, 'k', '', 'n', 0, 'step', 'STATE_SUCCEEDED', '', 1, NULL, '', 0, 1, NULL, '', NULL)"
BROKEN = {
    "final_has_end": "UPDATE executions SET end_time = NULL WHERE id = 'done'",
    "run_has_lease": "UPDATE executions SET state = 'STATE_RUNNING', lease = 0 WHERE id = 'open'",
    "waiting_has_wait": "UPDATE executions SET state = 'STATE_WAITING' WHERE id = 'open'",
    "wait_is_waited": "INSERT INTO waits VALUES (1, 'KIND_CODE', NULL, '', '')",
    "wait_has_step": "INSERT INTO waits VALUES (1, 'KIND_SIGNAL', NULL, 'x', '')",
    "retry_has_time": "UPDATE executions SET state = 'STATE_RETRYING' WHERE id = 'open'",
    "journal_is_whole": STEP.format(1),
    "journal_has_execution": STEP.format(99),
    "log_has_execution": "INSERT INTO logs VALUES (1, 99, 0, 'INFO', 'LOG', '', NULL)",
    "signal_has_execution": "INSERT INTO signals VALUES (1, 99, 'x', '', 0)",
    "buffered_is_open": "INSERT INTO fires VALUES (1, 'a', 't', 1, 1, 1, 'OUTCOME_BUFFERED', 'done', '', 1)",
    "ledger_counts": "INSERT INTO fires VALUES (1, 'a', 't', 1, 1, 1, 'OUTCOME_STARTED', 'done', '', 0)",
    "event_sequence": "UPDATE sqlite_sequence SET seq = 5 WHERE name = 'events'",
    "log_sequence": (
        "INSERT INTO logs VALUES (7, 1, 0, 'INFO', 'LOG', '', NULL);"
        " UPDATE sqlite_sequence SET seq = 5 WHERE name = 'logs'"
    ),
    "spec_is_json": "UPDATE agents SET spec = '{'",
    "executions_have_agent": "UPDATE executions SET agent_id = 'gone' WHERE id = 'open'",
    "agent_memory_have_agent": "INSERT INTO agent_memory VALUES ('gone', '{}')",
    "webhook_secrets_have_agent": "INSERT INTO webhook_secrets VALUES ('gone', 't', x'00')",
}


@pytest.mark.parametrize("name", BROKEN)
async def test_each_rule_of_the_rows_is_looked_at(data, make, name):
    store = store_of(data)
    await store.open()
    await store.write(lambda tx: tx.agents.insert(make.agent("digest")))
    await store.write(lambda tx: tx.executions.insert(make.execution(id="open")))
    await store.write(
        lambda tx: tx.executions.insert(make.execution(id="done", state=make.execution().state.SUCCEEDED))
    )
    await store.close()
    assert look(data)["rows"].severity is Severity.OK
    with closing(sqlite3.connect(data / FILE_NAME)) as connection:
        connection.executescript(BROKEN[name])
    found = look(data)
    assert found[name].severity is not Severity.OK
    assert found[name].advice
    assert "rows" not in found


def test_the_doctor_looks_at_modes_and_the_key(data):
    (data / FILE_NAME).chmod(0o644)
    found = look(data)
    assert found["modes"].severity is Severity.WARNING
    assert found["modes"].advice == f"chmod 600 {data / FILE_NAME}"
    with closing(sqlite3.connect(data / FILE_NAME)) as connection:
        connection.execute("INSERT INTO webhook_secrets VALUES ('digest', 't', x'00')")
        connection.commit()
    assert look(data)["key"].severity is Severity.ERROR
    assert "key" not in look(data, key_given=True)


def test_what_can_be_read_is_salvaged(data, tmp_path):
    path = data / FILE_NAME
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    size = path.stat().st_size
    put(path, size // 2 // 4096 * 4096, b"\xff" * 4096)
    before = path.read_bytes()
    rows = salvage(path, tmp_path / "saved.db", known=shipped(), now=NOW)
    assert EVENTS - 100 < rows["events"] < EVENTS
    assert path.read_bytes() == before
    with closing(sqlite3.connect(tmp_path / "saved.db")) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        kept = [row for (row,) in connection.execute("SELECT sequence FROM events ORDER BY sequence")]
        assert (kept[0], kept[-1], len(kept)) == (1, EVENTS, rows["events"])
        assert connection.execute("SELECT count(*) FROM meta").fetchone() == (0,)
        assert connection.execute("SELECT seq FROM sqlite_sequence WHERE name='events'").fetchone() == (
            EVENTS,
        )


def test_a_text_can_not_be_salvaged(data, tmp_path):
    text(data / FILE_NAME)
    with pytest.raises(StoreError, match="no SQLite database"):
        salvage(data / FILE_NAME, tmp_path / "saved.db", known=shipped(), now=NOW)
    assert not list(tmp_path.glob("saved*"))
