"""A full disk, a file that others lock and a read-only folder under a runtime at work: told, survived, healed."""

import asyncio
import resource
import sqlite3
import subprocess
import uuid
from contextlib import asynccontextmanager, closing
from functools import partial
from itertools import pairwise

import pytest
from tests.harness.process import NIGHTCREW, run
from tests.harness.waiting import eventually, everything

from nightcrew.client import Client, RetryPolicy
from nightcrew.client.errors import Unavailable

AGENTS = """
from nightcrew.agent import Context, agent, every

@agent(max_concurrency=0)
async def quick(ctx: Context, n: int) -> int:
    return n

@agent(triggers=every(seconds=1, overlap="buffer_all"))
async def tick(ctx: Context) -> str:
    return str(ctx.trigger.nominal_time)

@agent
async def patient(ctx: Context) -> object:
    return await ctx.wait_signal("go")
"""
ONCE = RetryPolicy(attempts=1)
FAULT_SECONDS = 6
LINES = 60
"""What the log may say of a fault a second, whatever the load is."""


@pytest.fixture
def small_disk(tmp_path):
    """A disk of 8 MiB where the runtime's folder will be; skipped where nothing can be mounted."""
    disk = tmp_path / "crew"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(disk)], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("needs the right to mount")
    yield disk
    subprocess.run(["umount", "-l", str(disk)], check=True)


def _write_on(file, block):
    while True:
        file.write(block)


@asynccontextmanager
async def disk_full(crew):
    """Somebody else has taken the last block."""
    ballast = crew.data.parent / "ballast"
    with ballast.open("wb", buffering=0) as file:
        for size in (65536, 4096, 1):
            with pytest.raises(OSError, match="No space left"):
                _write_on(file, b"x" * size)
    yield
    ballast.unlink()


@asynccontextmanager
async def file_size_limit(crew):
    """As a quota does: no file may grow past what the log is now."""
    _, hard = resource.prlimit(crew.pid, resource.RLIMIT_FSIZE)
    size = (crew.data / "nightcrew.db-wal").stat().st_size
    resource.prlimit(crew.pid, resource.RLIMIT_FSIZE, (size, hard))
    yield
    resource.prlimit(crew.pid, resource.RLIMIT_FSIZE, (hard, hard))


@asynccontextmanager
async def locked(crew):
    """Another process is in the middle of a write."""
    with closing(sqlite3.connect(crew.data / "nightcrew.db", isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        yield
        other.execute("ROLLBACK")


@pytest.mark.parametrize(
    ("fault", "causes"),
    [
        (disk_full, {"disk_full", "io_error"}),
        (file_size_limit, {"disk_full", "io_error"}),
        (locked, {"locked"}),
    ],
    ids=lambda one: getattr(one, "__name__", ""),
)
async def test_nothing_is_lost_and_all_goes_on(up, agents, fault, causes, request):
    if fault is disk_full:
        request.getfixturevalue("small_disk")
    crew = up(agents("faulty", AGENTS)).start()
    acknowledged: list[str] = []
    refused: list[Unavailable] = []
    going = True
    async with Client(crew.address, retry=ONCE) as client:
        waiting = await client.agents.trigger("patient")

        async def load(number):
            while going:
                try:
                    done = await client.agents.trigger("quick", {"n": number}, request_id=str(uuid.uuid4()))
                    acknowledged.append(done.id)
                except Unavailable as error:
                    refused.append(error)
                await asyncio.sleep(0.02)

        async def more(than):
            await eventually(
                lambda: _count(acknowledged), lambda count: count > than, what="more work", within=30
            )

        async with asyncio.TaskGroup() as group:
            for number in range(4):
                group.create_task(load(number))
            await more(20)
            lines = crew.stderr().count("\n")
            async with fault(crew):
                await eventually(
                    lambda: _count(refused), lambda count: count > 20, what="refusals", within=30
                )
                with pytest.raises(Unavailable):
                    await client.executions.signal(waiting.id, "go", "early", request_id=str(uuid.uuid4()))
                assert {one.id for one in await everything(client.agents.list())} == {
                    "quick",
                    "tick",
                    "patient",
                }
                assert (await client.executions.get(waiting.id)).id == waiting.id
                await asyncio.sleep(FAULT_SECONDS)  # the fault's own length, not a wait for something
                assert crew.alive
                assert crew.stderr().count("\n") - lines < LINES * (FAULT_SECONDS + 5), crew.stderr()[-3000:]
            await more(len(acknowledged) + 20)
            going = False
        assert {one.metadata.get("cause") for one in refused} <= causes
        assert all(one.reason in {"store_unavailable", "commit_unknown"} for one in refused)
        await client.executions.signal(waiting.id, "go", "now")
        done = await eventually(
            lambda: client.executions.get(waiting.id), lambda one: one.state == "STATE_SUCCEEDED", within=30
        )
        assert done.result in {"now", "early"}
        for one in acknowledged:
            await eventually(
                partial(client.executions.get, one),
                lambda seen: seen.state == "STATE_SUCCEEDED",
                within=30,
            )
        fires = await everything(client.schedules.fires(filter='agent_id = "tick"'))
        # Every second stands in the ledger once, those of the fault included.
        times = sorted((one.nominal_time, one.last_nominal_time) for one in fires)
        assert all((later[0] - earlier[1]).total_seconds() == 1 for earlier, later in pairwise(times))
        components = {one.id: one.restarts for one in await everything(client.runtime.components())}
        assert not any(components.values()), components
    crew.kill()
    crew.start()
    async with Client(crew.address) as client:
        for one in acknowledged:
            assert (await client.executions.get(one)).state == "STATE_SUCCEEDED"
    assert crew.stop() == 0
    assert crew_doctor(crew) == ["ok"]


async def _count(items):
    return len(items)


def crew_doctor(crew):
    with closing(sqlite3.connect(crew.data / "nightcrew.db")) as connection:
        return [row[0] for row in connection.execute("PRAGMA integrity_check")]


def test_a_read_only_disk_is_refused_at_start(up, agents, small_disk):
    """Root, too, can't write there; modes would not stop it."""
    crew = up(agents("faulty", AGENTS)).start()
    crew.stop()
    before = {one.name: one.read_bytes() for one in crew.data.iterdir()}
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    flags = ["--data", str(crew.data), "--grpc", "127.0.0.1:0", "--http", "off"]
    done = run([*NIGHTCREW, "up", *map(str, crew.paths), *flags])
    assert done.returncode == 1
    assert "Read-only file system" in done.stderr
    assert "Traceback" not in done.stderr
    assert str(crew.data) in done.stderr
    assert {one.name: one.read_bytes() for one in crew.data.iterdir()} == before
    subprocess.run(["mount", "-o", "remount,rw", str(small_disk)], check=True)
    crew.start()
    assert crew.stop() == 0
