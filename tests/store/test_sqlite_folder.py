"""The data folder: its lock refuses a second runtime, and nobody but its owner can look in."""

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from nightcrew.domain.errors import StoreError
from nightcrew.store.sqlite import connection
from nightcrew.store.sqlite.store import SqliteStore
from nightcrew.system.ids import SystemIds
from nightcrew.testing.clock import ManualClock

RUNTIME = Path(connection.__file__).parents[3]
HOLDER = """
import asyncio, sys
from pathlib import Path
from nightcrew.domain.errors import StoreError
from nightcrew.store.sqlite.store import SqliteStore
from nightcrew.system.clock import SystemClock
from nightcrew.system.ids import SystemIds

async def main():
    store = SqliteStore(Path(sys.argv[1]), clock=SystemClock(), ids=SystemIds())
    try:
        await store.open()
    except StoreError as error:
        print(error, flush=True)
        return
    print("open", flush=True)
    sys.stdin.readline()
    await store.close()

asyncio.run(main())
"""


def hold(folder):
    return subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(folder)],
        env=os.environ | {"PYTHONPATH": str(RUNTIME)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def a_store(folder):
    return SqliteStore(folder, clock=ManualClock(), ids=SystemIds())


async def test_a_second_runtime_is_refused_and_told_whose_folder_it_is(tmp_path):
    with hold(tmp_path / "data") as holder:
        assert holder.stdout.readline() == "open\n"
        with pytest.raises(StoreError, match=rf"in use by another runtime \(pid {holder.pid}\)"):
            await a_store(tmp_path / "data").open()
        with hold(tmp_path / "data") as second:
            assert f"pid {holder.pid}" in second.stdout.readline()
        assert holder.poll() is None
        holder.communicate("end\n", timeout=30)
    store = a_store(tmp_path / "data")
    await store.open()
    await store.close()


async def test_a_killed_runtime_holds_nothing(tmp_path):
    with hold(tmp_path / "data") as holder:
        assert holder.stdout.readline() == "open\n"
        holder.kill()
    store = a_store(tmp_path / "data")
    await store.open()
    await store.close()


async def test_a_second_store_in_one_process_is_refused_too(tmp_path):
    first, second = a_store(tmp_path / "data"), a_store(tmp_path / "data")
    await first.open()
    with pytest.raises(StoreError, match=f"pid {os.getpid()}"):
        await second.open()
    await first.close()
    await second.open()
    assert second.incarnation == first.incarnation
    await second.close()


async def test_only_the_owner_can_look_in(tmp_path, make):
    folder = tmp_path / "deep" / "data"
    folder.mkdir(parents=True)
    folder.chmod(0o755)
    store = a_store(folder)
    await store.open()
    await store.write(lambda tx: tx.agents.insert(make.agent()))
    names = {"nightcrew.db", "nightcrew.db-shm", "nightcrew.db-wal", "nightcrew.lock", "nightcrew.history"}
    assert {one.name for one in folder.iterdir()} == names
    assert {stat.S_IMODE(one.stat().st_mode) for one in folder.iterdir()} == {0o600}
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    await store.close()
    assert {one.name for one in folder.iterdir()} == names - {"nightcrew.db-shm", "nightcrew.db-wal"}


async def test_where_it_is(tmp_path):
    store = a_store(tmp_path / "data")
    assert store.location == f"sqlite:{tmp_path}/data/nightcrew.db"


async def test_a_folder_with_a_strange_name(tmp_path):
    store = a_store(tmp_path / "a ?mode=memory#%41 ü")
    await store.open()
    await store.write(lambda tx: tx.set_meta("a", "b"))
    await store.close()
    await store.open()
    assert await store.write(lambda tx: tx.meta("a")) == "b"
    await store.close()


def test_a_process_that_forgets_to_close_can_end(tmp_path):
    """An error that passes the store by must end the runtime, not leave it hanging on the readers' threads."""
    script = HOLDER.replace("sys.stdin.readline()\n    await store.close()", "raise SystemExit(7)")
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path / "data")],
        env=os.environ | {"PYTHONPATH": str(RUNTIME)},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert (done.returncode, done.stdout) == (7, "open\n")
