"""Faults of the file under SQLite: each is named, loses nothing that was answered, and heals when it is gone."""

import asyncio
import json
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import textwrap
from pathlib import Path
from typing import Any

import pytest

from nightcrew.domain.errors import CommitUnknown, StoreError
from nightcrew.store.sqlite import connection
from nightcrew.store.sqlite.folder import FILE_NAME
from nightcrew.store.sqlite.store import SqliteStore
from nightcrew.system.ids import SystemIds
from nightcrew.testing.clock import ManualClock

RUNTIME = Path(connection.__file__).parents[3]


@pytest.fixture
async def store(tmp_path):
    store = SqliteStore(tmp_path / "data", clock=ManualClock(), ids=SystemIds())
    await store.open()
    yield store
    await store.close()


def limit_pages(store, more):
    """Lets the writer's connection add so many pages to the file; the next ones meet SQLITE_FULL."""

    def unit(tx):
        (used,) = tx._execute("PRAGMA page_count").fetchone()
        tx._execute(f"PRAGMA max_page_count = {used + more}").fetchone()

    return store.write(unit)


async def test_a_full_disk_inside_a_unit(store, make):
    """SQLITE_FULL ends the whole transaction: the others in the batch are run again, and kept."""
    await limit_pages(store, 20)
    big = "x" * 200_000

    units: list[Any] = [lambda tx, n=n: tx.events.append(make.event(data=str(n))) for n in range(30)]
    units.insert(10, lambda tx: tx.events.append(make.event(data=big)))
    units.insert(20, lambda tx: tx.set_meta("big", big))
    results = await asyncio.gather(*(store.write(unit) for unit in units), return_exceptions=True)
    for place in (10, 20):
        assert isinstance(results[place], StoreError)
        assert not isinstance(results[place], CommitUnknown)
        assert results[place].metadata["cause"] == "disk_full"
        assert "full" in results[place].message
    kept = await store.reads.events_after(0, limit=100)
    assert [one.data for one in kept] == [str(n) for n in range(30)]
    assert [one.sequence for one in kept] == [one for one in results if isinstance(one, int)]

    await limit_pages(store, 1000)
    await store.write(lambda tx: tx.events.append(make.event(data=big)))
    assert len(await store.reads.events_after(0, limit=100)) == 31


REQUESTS = "SELECT * FROM requests"
ROOT_PAGE = "SELECT rootpage FROM sqlite_schema WHERE name = 'requests'"


async def test_a_page_that_is_damaged_while_it_is_in_use(tmp_path, make):
    """What was answered stays and can be read; nothing more is written, whoever met the page first."""
    folder = tmp_path / "data"
    for reader in (False, True):
        store = SqliteStore(folder, clock=ManualClock(), ids=SystemIds())
        await store.open()
        for _ in range(3):
            await store.write(lambda tx: tx.events.append(make.event()))
        await store.write(lambda tx: tx.set_meta("kept", "x"))
        assert store.damage == ""
        whole = (folder / FILE_NAME).read_bytes()
        (page,) = await store.write(lambda tx: tx._execute(ROOT_PAGE).fetchone())
        await store.write(lambda tx: tx._execute("PRAGMA shrink_memory"))
        with (folder / FILE_NAME).open("r+b") as file:
            file.seek((page - 1) * 4096)
            file.write(b"\xff" * 4096)
        with pytest.raises(StoreError) as caught:
            await (
                store._pool.fetch(REQUESTS)
                if reader
                else store.write(lambda tx: tx._execute(REQUESTS).fetchall())
            )
        assert caught.value.metadata["cause"] == "corrupt"
        assert "malformed" in store.damage
        for _ in range(2):
            with pytest.raises(StoreError, match="nightcrew doctor") as caught:
                await store.write(lambda tx: tx.events.append(make.event()))
            assert caught.value.metadata["cause"] == "damaged"
        assert (await store.reads.event_bounds())[1] == (6 if reader else 3)
        await store.close()
        with pytest.raises(StoreError, match="nightcrew restore"):
            await store.open()
        raw = bytearray((folder / FILE_NAME).read_bytes())
        raw[(page - 1) * 4096 : page * 4096] = whole[(page - 1) * 4096 : page * 4096]
        (folder / FILE_NAME).write_bytes(raw)


async def test_a_read_only_connection(store, make):
    await store.write(lambda tx: tx.events.append(make.event()))
    await store.write(lambda tx: tx._execute("PRAGMA query_only = ON"))
    results = await asyncio.gather(
        *(store.write(lambda tx: tx.events.append(make.event())) for _ in range(5)), return_exceptions=True
    )
    assert [one.metadata["cause"] for one in results] == ["read_only"] * 5
    assert await store.reads.event_bounds() == (1, 1)
    await store.write(lambda tx: tx._execute("PRAGMA query_only = OFF"))
    assert await store.write(lambda tx: tx.events.append(make.event())) == 2


async def test_a_file_locked_by_another_process(tmp_path, make, monkeypatch):
    monkeypatch.setattr(connection, "BUSY_SECONDS", 0.05)
    store = SqliteStore(tmp_path / "data", clock=ManualClock(), ids=SystemIds())
    await store.open()
    await store.write(lambda tx: tx.events.append(make.event()))
    other = sqlite3.connect(tmp_path / "data" / FILE_NAME, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    results = await asyncio.gather(
        *(store.write(lambda tx: tx.events.append(make.event())) for _ in range(5)), return_exceptions=True
    )
    assert [one.metadata["cause"] for one in results] == ["locked"] * 5
    assert len({id(one) for one in results}) == 5
    assert "another process" in results[0].message
    assert await store.reads.event_bounds() == (1, 1)
    other.execute("ROLLBACK")
    assert await store.write(lambda tx: tx.events.append(make.event())) == 2
    other.close()
    await store.close()


async def test_a_short_lock_is_waited_for(store, make, tmp_path):
    other = sqlite3.connect(tmp_path / "data" / FILE_NAME, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    writing = asyncio.create_task(store.write(lambda tx: tx.events.append(make.event())))
    while not store._writer._under_way:
        await asyncio.sleep(0)
    assert not writing.done()
    other.execute("ROLLBACK")
    assert await writing == 1
    other.close()


async def test_a_file_that_is_no_database(tmp_path):
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / FILE_NAME).write_text("this is no database, whatever its name says" * 100)
    store = SqliteStore(folder, clock=ManualClock(), ids=SystemIds())
    with pytest.raises(StoreError, match="no SQLite database") as caught:
        await store.open()
    assert caught.value.metadata["cause"] == "corrupt"
    (folder / FILE_NAME).unlink()
    await store.open()  # the lock was given back
    await store.close()


async def test_a_folder_that_is_a_file(tmp_path):
    (tmp_path / "data").write_text("")
    with pytest.raises(StoreError, match="can't be used"):
        await SqliteStore(tmp_path / "data", clock=ManualClock(), ids=SystemIds()).open()


def run(script: str, *arguments: object) -> list[Any]:
    """Runs a script in a process of its own; each line that it prints is JSON."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", textwrap.dedent(script), *map(str, arguments)],
        env=os.environ | {"PYTHONPATH": str(RUNTIME)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


PREAMBLE = """
import asyncio, json, os, resource, signal, sys
from datetime import UTC, datetime
from pathlib import Path
from nightcrew.domain.errors import StoreError
from nightcrew.domain.event import NewEvent
from nightcrew.store.sqlite.store import SqliteStore
from nightcrew.system.clock import SystemClock
from nightcrew.system.ids import SystemIds

def event(data):
    return NewEvent(type="t", source="/s", time=datetime.now(UTC), data=data)

def say(*what):
    print(json.dumps(what))

async def write(store, data):
    try:
        return await store.write(lambda tx: tx.events.append(event(data)))
    except StoreError as error:
        return type(error).__name__ + " " + error.metadata["cause"]
"""


def test_a_write_that_fails_at_commit(tmp_path):
    """The kernel refuses to let the log grow: the outcome is open, reads go on, and it heals by reopening."""
    lines = run(
        PREAMBLE
        + """
async def main():
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    store = SqliteStore(Path(sys.argv[1]), clock=SystemClock(), ids=SystemIds())
    await store.open()
    say(await asyncio.gather(*(write(store, str(n)) for n in range(10))))
    size = os.stat(Path(sys.argv[1]) / "nightcrew.db-wal").st_size
    resource.setrlimit(resource.RLIMIT_FSIZE, (size + 10_000, resource.RLIM_INFINITY))
    failed = await asyncio.gather(*(write(store, "x" * 100_000) for n in range(3)))
    say(failed)
    say(await store.reads.event_bounds())
    say(await write(store, "x" * 100_000))
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    say(await asyncio.gather(*(write(store, "x" * 100_000) for n in range(3))))
    await store.close()
    await store.open()
    say(await store.reads.event_bounds())
    await store.close()

asyncio.run(main())
""",
        tmp_path / "data",
    )
    assert lines == [
        [list(range(1, 11))],
        [["CommitUnknown io_error"] * 3],
        [[1, 10]],
        ["CommitUnknown io_error"],
        [[11, 12, 13]],
        [[1, 13]],
    ]


def test_a_read_only_file():
    """As a user who may not write it: a clear refusal at open, and no harm."""
    with tempfile.TemporaryDirectory() as given:
        folder = Path(given) / "data"
        user = 65534 if os.geteuid() == 0 else os.geteuid()
        (line,) = run(
            """
            import os, sys
            folder, user, runtime = sys.argv[1:]
            # Imported while it may be: the new user need not be able to read this code.
            import asyncio, concurrent.futures.thread, json, sqlite3, aiosqlite
            from pathlib import Path
            import nightcrew.store.sqlite.store as module
            from nightcrew.domain.errors import StoreError
            from nightcrew.store.sqlite import migrate
            from nightcrew.system.clock import SystemClock
            from nightcrew.system.ids import SystemIds

            shipped = migrate.shipped()
            module.shipped = lambda: shipped
            os.mkdir(folder)
            if os.geteuid() != int(user):
                os.chown(os.path.dirname(folder), int(user), -1)
                os.chown(folder, int(user), -1)
                os.setuid(int(user))

            async def main():
                store = module.SqliteStore(Path(folder), clock=SystemClock(), ids=SystemIds())
                await store.open()
                await store.close()
                path = Path(folder) / "nightcrew.db"
                before = path.read_bytes()
                path.chmod(0o400)
                try:
                    await store.open()
                except StoreError as error:
                    said = [error.metadata["cause"], str(error)]
                path.chmod(0o600)
                same = path.read_bytes() == before
                await store.open()
                await store.close()
                print(json.dumps([*said, same]))

            asyncio.run(main())
            """,
            folder,
            user,
            RUNTIME,
        )
        cause, message, same = line
        assert cause == "read_only"
        assert "can't be written: Permission denied" in message
        assert same
        shutil.rmtree(folder)
