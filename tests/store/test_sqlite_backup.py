"""Backups: whole, checked, never half, made while others write; and put back, with a way to undo it."""

import asyncio
import os
import shutil
import sqlite3
import stat
from contextlib import closing
from datetime import UTC, datetime

import pytest

from nightcrew.domain.errors import StoreError
from nightcrew.store.sqlite import copying
from nightcrew.store.sqlite.copying import back_up
from nightcrew.store.sqlite.folder import FILE_NAME
from nightcrew.store.sqlite.history import NOTE_NAME
from nightcrew.store.sqlite.migrate import shipped
from nightcrew.store.sqlite.restoring import put_back
from nightcrew.store.sqlite.store import SqliteStore
from nightcrew.store.sqlite.vacuuming import vacuum
from nightcrew.system.ids import SystemIds
from nightcrew.testing.clock import ManualClock

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)


def store_of(folder):
    return SqliteStore(folder, clock=ManualClock(), ids=SystemIds())


@pytest.fixture
def data(tmp_path):
    return tmp_path / "data"


async def fill(folder, make, count, **fields):
    """Opens the store, adds events, closes it; its incarnation meanwhile."""
    store = store_of(folder)
    await store.open()
    for _ in range(count):
        await store.write(lambda tx: tx.events.append(make.event(**fields)))
    await store.close()
    return store.incarnation


def restore(backup, folder, **more):
    return put_back(backup, folder, known=shipped(), now=NOW, key_file=folder / "secret.key", **more)


def events(path):
    with closing(sqlite3.connect(path)) as connection:
        return [row[0] for row in connection.execute("SELECT sequence FROM events ORDER BY sequence")]


def snapshot(folder):
    return {one.name: one.read_bytes() for one in folder.iterdir() if one.is_file()}


async def test_a_copy_made_under_load_is_one_moment_of_it(data, make, tmp_path):
    store = store_of(data)
    await store.open()
    for _ in range(50):
        await store.write(lambda tx: tx.events.append(make.event(data="x" * 100_000)))
    going = True
    written = []

    async def load():
        while going:
            # Both or neither: what a copy of half a commit would show.
            written.append(
                await store.write(
                    lambda tx: (
                        tx.set_meta("count", str(len(written) + 1)),
                        tx.events.append(make.event(data="y" * 1000)),
                    )[1]
                )
            )

    task = asyncio.create_task(load())
    while len(written) < 3:
        await asyncio.sleep(0)
    seen = []
    done = await asyncio.to_thread(
        back_up, data / FILE_NAME, tmp_path / "b.db", progress=lambda *one: seen.append(one)
    )
    meanwhile = len(written)
    while len(written) < meanwhile + 3:
        await asyncio.sleep(0)
    going = False
    await task
    await store.close()
    copied = events(tmp_path / "b.db")
    assert copied == list(range(1, done.sequence + 1))
    assert 53 <= done.sequence <= 50 + len(written)
    with closing(sqlite3.connect(tmp_path / "b.db")) as connection:
        (count,) = connection.execute("SELECT value FROM meta WHERE key = 'count'").fetchone()
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("delete",)
    assert int(count) == done.sequence - 50
    assert stat.S_IMODE(done.path.stat().st_mode) == 0o600
    assert done.size == done.path.stat().st_size
    assert seen[-1][0] == seen[-1][1] > 5_000_000
    assert sorted(one.name for one in tmp_path.iterdir()) == ["b.db", "data"]


async def test_a_backup_that_is_there_is_replaced_only_when_asked(data, make, tmp_path):
    target = tmp_path / "b.db"
    await fill(data, make, 1)
    back_up(data / FILE_NAME, target)
    before = target.read_bytes()
    await fill(data, make, 1)
    with pytest.raises(StoreError, match="--force"):
        back_up(data / FILE_NAME, target)
    assert target.read_bytes() == before
    assert back_up(data / FILE_NAME, target, force=True).sequence == 2
    assert events(target) == [1, 2]


@pytest.mark.parametrize("force", [False, True])
async def test_what_fails_leaves_nothing(data, make, tmp_path, force, monkeypatch):
    """No half file under the name or another; a backup that was there stays as it was."""
    target = tmp_path / "out" / "b.db"
    target.parent.mkdir()
    await fill(data, make, 3)
    if force:
        target.write_bytes(b"the old one")

    def fails(*_):
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr(copying, "_sync_file", fails)
    with pytest.raises(StoreError, match="No space left"):
        back_up(data / FILE_NAME, target, force=force)
    assert [one.name for one in target.parent.iterdir()] == (["b.db"] if force else [])
    if force:
        assert target.read_bytes() == b"the old one"


async def test_there_must_be_room(data, make, tmp_path, monkeypatch):
    await fill(data, make, 3)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(10, 9, 1))
    with pytest.raises(StoreError, match="free some space") as caught:
        back_up(data / FILE_NAME, tmp_path / "b.db")
    assert caught.value.metadata["cause"] == "disk_full"
    assert not list(tmp_path.glob("b.db*"))


async def test_a_damaged_store_gives_no_backup(data, make, tmp_path):
    await fill(data, make, 100, data="x" * 2000)
    path = data / FILE_NAME
    raw = bytearray(path.read_bytes())
    with closing(sqlite3.connect(path)) as connection:
        (page,) = connection.execute("SELECT rootpage FROM sqlite_schema WHERE name = 'events'").fetchone()
    raw[(page - 1) * 4096 + 1000 : page * 4096] = b"\xff" * 3096
    path.write_bytes(raw)
    with pytest.raises(StoreError, match="damaged"):
        back_up(path, tmp_path / "b.db")
    assert [one.name for one in tmp_path.iterdir()] == ["data"]


async def test_wrong_names_are_refused(data, make, tmp_path):
    await fill(data, make, 1)
    with pytest.raises(StoreError, match="own file"):
        back_up(data / FILE_NAME, data / FILE_NAME, force=True)
    with pytest.raises(StoreError, match="folder"):
        back_up(data / FILE_NAME, tmp_path, force=True)
    with pytest.raises(StoreError, match="does not exist"):
        back_up(tmp_path / "nothing" / FILE_NAME, tmp_path / "b.db")
    with pytest.raises(StoreError, match="No such file"):
        back_up(data / FILE_NAME, tmp_path / "nowhere" / "b.db")


async def test_the_key_goes_along_when_asked(data, make, tmp_path):
    await fill(data, make, 1)
    assert back_up(data / FILE_NAME, tmp_path / "none.db", key=data / "secret.key").key is None
    (data / "secret.key").write_text("key\n")
    done = back_up(data / FILE_NAME, tmp_path / "b.db", key=data / "secret.key")
    assert done.key == tmp_path / "b.db.key"
    assert done.key.read_text() == "key\n"
    assert stat.S_IMODE(done.key.stat().st_mode) == 0o600
    (data / "secret.key").write_text("another\n")
    again = restore(done.path, data, key=done.key)
    assert (data / "secret.key").read_text() == "key\n"
    assert again.key_aside.read_text() == "another\n"


async def test_a_backup_that_is_put_back_is_another_history(data, make, tmp_path):
    """Also where the note can't tell: a kill has left one that is older than the backup."""
    first = await fill(data, make, 2)
    note = (data / NOTE_NAME).read_bytes()
    await fill(data, make, 3)
    back_up(data / FILE_NAME, tmp_path / "b.db")
    await fill(data, make, 4)
    (data / NOTE_NAME).write_bytes(note)
    done = restore(tmp_path / "b.db", data)
    assert (done.sequence, events(data / FILE_NAME)) == (5, [1, 2, 3, 4, 5])
    assert events(done.aside) == list(range(1, 10))
    assert await fill(data, make, 1) != first
    assert stat.S_IMODE((data / FILE_NAME).stat().st_mode) == 0o600

    undone = restore(done.aside, data)
    assert undone.sequence == 9


async def test_a_killed_runtimes_log_goes_aside_with_its_file(data, make, tmp_path):
    await fill(data, make, 1)
    back_up(data / FILE_NAME, tmp_path / "b.db")
    store = store_of(data)
    await store.open()
    await store.write(lambda tx: tx.events.append(make.event()))
    killed = tmp_path / "killed"
    shutil.copytree(data, killed)
    await store.close()
    done = restore(tmp_path / "b.db", killed)
    assert events(killed / FILE_NAME) == [1]
    assert events(done.aside) == [1, 2]


async def test_a_damaged_file_is_kept_aside_as_it_is(data, make, tmp_path):
    await fill(data, make, 1)
    back_up(data / FILE_NAME, tmp_path / "b.db")
    (data / FILE_NAME).write_bytes(b"garbage" * 1000)
    done = restore(tmp_path / "b.db", data)
    assert done.aside.read_bytes() == b"garbage" * 1000
    assert await fill(data, make, 0)


async def test_it_is_refused_while_a_runtime_is_up(data, make, tmp_path):
    await fill(data, make, 1)
    back_up(data / FILE_NAME, tmp_path / "b.db")
    store = store_of(data)
    await store.open()
    with pytest.raises(StoreError, match=f"pid {os.getpid()}"):
        restore(tmp_path / "b.db", data)
    assert await store.write(lambda tx: tx.events.append(make.event())) == 2
    await store.close()


def _text(path):
    path.write_text("not a database, but long enough to be taken for one" * 10)


def _empty(path):
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("VACUUM")


def _foreign(path):
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE theirs (a)")


def _newer(path):
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("INSERT INTO migrations VALUES (9000, '9000_later.sql', 'x', 0)")
        connection.commit()


def _cut(path):
    path.write_bytes(path.read_bytes()[:-8192])


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (_text, "no SQLite database"),
        (_foreign, "not Nightcrew's"),
        (_newer, "newer version"),
        (_cut, "cut short"),
    ],
)
async def test_what_is_no_backup_changes_nothing(data, make, tmp_path, spoil, says):
    await fill(data, make, 2)
    backup = tmp_path / "b.db"
    if spoil is not _foreign:
        back_up(data / FILE_NAME, backup)
    spoil(backup)
    before = snapshot(data)
    with pytest.raises(StoreError, match=says):
        restore(backup, data)
    assert snapshot(data) == before


async def test_an_older_backup_is_upgraded_by_the_next_start(data, make, tmp_path):
    await fill(data, make, 2)
    back_up(data / FILE_NAME, tmp_path / "b.db")
    fresh = tmp_path / "fresh"
    assert restore(tmp_path / "b.db", fresh).aside is None
    assert await fill(fresh, make, 1)
    assert events(fresh / FILE_NAME) == [1, 2, 3]


async def test_a_vacuum_gives_space_back_and_keeps_the_rest(data, make):
    store = store_of(data)
    await store.open()
    for _ in range(50):
        await store.write(lambda tx: tx.events.append(make.event(data="x" * 100_000)))
    await store.write(lambda tx: tx._execute("DELETE FROM events WHERE sequence < 50"))
    with pytest.raises(StoreError, match="pid"):
        vacuum(data)
    await store.close()
    before, after = vacuum(data)
    assert before > 5_000_000
    assert after < 1_000_000
    assert events(data / FILE_NAME) == [50]
    first = store.incarnation
    assert await fill(data, make, 1) == first
    assert events(data / FILE_NAME) == [50, 51]
