"""A file of every earlier version, with rows that were written by hand then, upgraded: whole, or not at all."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
import textwrap
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from nightcrew.agent import Context, agent, every, on_event
from nightcrew.domain.agent import AgentState
from nightcrew.domain.errors import StoreError
from nightcrew.domain.execution import ExecutionState
from nightcrew.domain.fire import FireOutcome
from nightcrew.ports.upkeep import Severity
from nightcrew.services.once import Request
from nightcrew.store.sqlite import preparing
from nightcrew.store.sqlite.examining import examine
from nightcrew.store.sqlite.folder import FILE_NAME
from nightcrew.store.sqlite.migrate import Migration, shipped
from nightcrew.store.sqlite.preparing import prepare
from nightcrew.testing.box import Box

NOW = datetime(2026, 1, 1, tzinfo=UTC)
ROWS = Path(__file__).parents[1] / "data" / "upgrades"
LAST = len(shipped())


def old_file(folder, version):
    """The file as a runtime of that version has left it: each migration, then the rows of its time."""
    folder.mkdir(mode=0o700)
    with closing(sqlite3.connect(folder / FILE_NAME)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute(
            "CREATE TABLE migrations (number INTEGER PRIMARY KEY, name TEXT NOT NULL, checksum TEXT NOT NULL,"
            " time INTEGER NOT NULL) STRICT"
        )
        for one in shipped()[:version]:
            connection.executescript(one.sql)
            connection.execute(
                "INSERT INTO migrations VALUES (?, ?, ?, 0)", (one.number, one.name, one.checksum)
            )
            rows = ROWS / f"{one.number:04d}.sql"
            if rows.exists():
                connection.executescript(rows.read_text("utf-8"))
            connection.commit()
    (folder / FILE_NAME).chmod(0o600)
    return folder / FILE_NAME


def content(path, columns=()):
    """Every row of every table, by (table, its columns); of those that are given, if they are."""
    with closing(sqlite3.connect(path)) as connection:
        if not columns:
            names = connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name")
            columns = [
                (name, tuple(row[1] for row in connection.execute(f"PRAGMA table_info({name})")))
                for (name,) in names.fetchall()
                if name != "migrations"
            ]
        return {
            (table, of): sorted(connection.execute(f"SELECT {', '.join(of)} FROM {table}"), key=repr)  # noqa: S608
            for table, of in columns
        }


@pytest.mark.parametrize("version", range(1, LAST + 1))
def test_every_row_is_there_after_the_upgrade(tmp_path, version):
    path = old_file(tmp_path / "data", version)
    before = content(path)
    assert sum(map(len, before.values())) > 20
    prepare(path, shipped(), now=NOW)
    assert content(path, [*before]) == before
    found = examine(path.parent, known=shipped(), key_file=path.parent / "secret.key", full=True)
    assert not [one for one in found if one.severity is not Severity.OK]
    kept = sorted(one.name for one in path.parent.glob(f"{FILE_NAME}.*"))
    if version == LAST:
        assert kept == []
    else:
        assert kept == [f"{FILE_NAME}.before-upgrade-{version:04d}"]
        assert content(path.parent / kept[0]) == before


@agent
async def greeter(name: str) -> dict[str, str]:
    return {"text": f"Hello, {name}!"}


@agent(triggers=[every(hours=1)])
async def ticker() -> int:
    return 1


@agent
async def resting() -> None: ...


@agent(triggers=[on_event("shop.*")])
async def listener(event: dict) -> float:
    return float(event["data"]["total"])


@agent
async def approver(ctx: Context) -> list:
    return [str(await ctx.now()), await ctx.wait_signal("go", message="Go?")]


@pytest.mark.parametrize("version", range(1, LAST + 1))
async def test_a_runtime_goes_on_where_the_old_one_was_killed(tmp_path, version):
    old_file(tmp_path / "data", version)

    def of(number):
        return f"019b6b00-0000-7000-8000-{number:012d}"

    async with Box(greeter, ticker, resting, listener, approver, folder=tmp_path / "data") as box:
        assert (await box.agent("resting")).state is AgentState.PAUSED
        assert json.loads((await box.execution(of(1))).result) == {"text": "Hello, Ada!"}
        assert (await box.execution(of(2))).error.type == "ValueError"
        for number, name in ((3, "Bob"), (4, "Cy"), (5, "Di")):
            done = await box.ended(of(number))
            assert (done.state, json.loads(done.result or "null")) == (
                ExecutionState.SUCCEEDED,
                {"text": f"Hello, {name}!"},
            )
        assert (await box.execution(of(3))).interruptions == 1
        await box.advance(hours=3)
        fired = {
            one.nominal_time.hour: one.outcome for one in await box.fires("ticker") if one.nominal_time >= NOW
        }
        assert fired[0] is FireOutcome.STARTED
        assert fired[1] is (FireOutcome.SKIPPED_BY_REQUEST if version > 1 else FireOutcome.STARTED)
        if version >= 6:
            await box.services.steps.signal(of(8), "go", {"by": "ann"}, request=Request(method="test"))
            done = await box.ended(of(8))
            assert done.state is ExecutionState.SUCCEEDED, done
            assert json.loads(done.result) == ["2025-12-31 23:58:25+00:00", {"by": "ann"}]


BROKEN = Migration(
    LAST + 1, f"{LAST + 1:04d}_broken.sql", "CREATE TABLE more (a); DELETE FROM agents; SELECT nope;"
)


def test_one_that_fails_leaves_the_old_version(tmp_path):
    path = old_file(tmp_path / "data", LAST)
    before = content(path)
    with pytest.raises(StoreError, match="nope"):
        prepare(path, [*shipped(), BROKEN], now=NOW)
    assert content(path) == before
    prepare(path, shipped(), now=NOW)


def test_a_kill_in_the_middle_leaves_the_old_version(tmp_path):
    path = old_file(tmp_path / "data", 1)
    before = content(path)
    code = """
    import os, signal, sys
    from datetime import UTC, datetime
    from pathlib import Path
    from nightcrew.store.sqlite import migrate as module
    path = Path(sys.argv[1])
    second = module.shipped()[1]
    # Half of its statements, and the process is gone: SQLite calls the function in the middle of the script.
    half = second.sql.replace("CREATE TABLE backfills", "INSERT INTO meta VALUES ('half', kill()); CREATE TABLE backfills")
    assert half != second.sql
    real = module.sqlite3.connect
    def connect(*args, **more):
        connection = real(*args, **more)
        connection.create_function("kill", 0, lambda: os.kill(os.getpid(), signal.SIGKILL))
        return connection
    module.sqlite3.connect = connect
    known = [module.shipped()[0], module.Migration(2, second.name, half)]
    module.migrate(path, known, now=datetime(2026, 1, 1, tzinfo=UTC))
    """
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code), str(path)],
        env=env,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert content(path) == before
    prepare(path, shipped(), now=NOW)
    assert content(path, [*before]) == before


def test_only_the_last_upgrades_file_is_kept(tmp_path):
    path = old_file(tmp_path / "data", 2)
    prepare(path, shipped()[:3], now=NOW)
    prepare(path, shipped()[:4], now=NOW)
    assert [one.name for one in path.parent.glob(f"{FILE_NAME}.*")] == [f"{FILE_NAME}.before-upgrade-0003"]


def test_an_upgrade_needs_no_room_for_the_old_one(tmp_path, monkeypatch):
    path = old_file(tmp_path / "data", 2)
    monkeypatch.setattr(preparing, "KEPT", 10)
    prepare(path, shipped(), now=NOW)
    assert not list(path.parent.glob(f"{FILE_NAME}.*"))
