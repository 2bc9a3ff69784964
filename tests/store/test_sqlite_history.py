"""The incarnation: kept as long as the history goes on, new for a file that is new, restored or from elsewhere."""

import shutil

from nightcrew.store.sqlite.history import NOTE_NAME
from nightcrew.store.sqlite.store import SqliteStore
from nightcrew.system.ids import SystemIds
from nightcrew.testing.clock import ManualClock


async def visit(folder, make, events=0):
    """Opens the store, adds events, closes it; its incarnation meanwhile."""
    store = SqliteStore(folder, clock=ManualClock(), ids=SystemIds())
    await store.open()
    for _ in range(events):
        await store.write(lambda tx: tx.events.append(make.event()))
    await store.close()
    return store.incarnation


async def test_it_stays_while_the_history_goes_on(tmp_path, make):
    first = await visit(tmp_path / "data", make)
    assert first
    assert await visit(tmp_path / "data", make, events=3) == first
    assert await visit(tmp_path / "data", make) == first
    assert await visit(tmp_path / "other", make) != first


async def test_a_kill_changes_nothing(tmp_path, make):
    """After a kill the note is as old as the last open: behind the file, never ahead of it."""
    first = await visit(tmp_path / "data", make, events=1)
    note = (tmp_path / "data" / NOTE_NAME).read_bytes()
    await visit(tmp_path / "data", make, events=5)
    (tmp_path / "data" / NOTE_NAME).write_bytes(note)
    assert await visit(tmp_path / "data", make) == first


async def test_a_backup_that_is_put_back_is_another_history(tmp_path, make):
    file = tmp_path / "data" / "nightcrew.db"
    first = await visit(tmp_path / "data", make, events=2)
    shutil.copy(file, tmp_path / "backup.db")
    await visit(tmp_path / "data", make, events=1)
    shutil.copy(tmp_path / "backup.db", file)
    second = await visit(tmp_path / "data", make)
    assert second != first
    assert await visit(tmp_path / "data", make) == second


async def test_a_file_from_elsewhere_is_another_history(tmp_path, make):
    first = await visit(tmp_path / "data", make, events=2)
    (tmp_path / "moved").mkdir()
    shutil.copy(tmp_path / "data" / "nightcrew.db", tmp_path / "moved")
    assert await visit(tmp_path / "moved", make) != first
    for garbage in (b"", b"x", b"a b c", b"a -1", b"\xff 1"):
        before = await visit(tmp_path / "data", make)
        (tmp_path / "data" / NOTE_NAME).write_bytes(garbage)
        assert await visit(tmp_path / "data", make) != before
