"""Backup, restore and doctor as people use them, beside a runtime that works, and on files that are damaged."""

import asyncio
import json
import sqlite3
from contextlib import closing

import pytest
from tests.harness.process import NIGHTCREW, run

from nightcrew.client import Client


def local(crew, *words):
    """Commands that work on the data folder."""
    return run([*NIGHTCREW, *words, "--data", str(crew.data)])


async def test_a_backup_of_a_runtime_at_work_is_put_back_and_watchers_are_told(up, agents, tmp_path):
    crew = up(agents("basics")).start()
    target = tmp_path / "crew.db"
    async with Client(crew.address) as client:
        going = True
        acknowledged = []

        async def load():
            while going:
                acknowledged.append((await client.agents.trigger("hello", {"name": "Ada"}, wait=10)).id)

        tasks = [asyncio.create_task(load()) for _ in range(4)]
        while len(acknowledged) < 20:
            await asyncio.sleep(0.01)
        before = list(acknowledged)
        done = await asyncio.to_thread(local, crew, "backup", str(target), "--output", "json")
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)["size"] == target.stat().st_size
        refused = await asyncio.to_thread(local, crew, "restore", str(target))
        assert refused.returncode == 1
        assert f"pid {crew.pid}" in refused.stderr
        healthy = await asyncio.to_thread(local, crew, "doctor")
        assert healthy.returncode == 0, healthy.stdout
        going = False
        await asyncio.gather(*tasks)
        late = await client.agents.trigger("hello", {"name": "Bob"}, wait=10)
        async with asyncio.timeout(20), client.events.watch(include_snapshot=True) as watch:
            async for item in watch:
                if getattr(item, "execution_id", "") == late.id:
                    break
            token = watch.resume_token
        assert token
    crew.kill()

    with closing(sqlite3.connect(target)) as connection:
        kept = {row[0] for row in connection.execute("SELECT id FROM executions")}
    assert {*before} <= kept
    assert late.id not in kept
    restored = local(crew, "restore", str(target), "--output", "json")
    assert restored.returncode == 0, restored.stderr
    aside = json.loads(restored.stdout)["aside"]
    crew.start()
    async with Client(crew.address) as client:
        assert (await client.executions.get(before[0])).result == {"text": "Hello, Ada!"}
        async with asyncio.timeout(20), client.events.watch(resume_token=token) as watch:
            first = await anext(aiter(watch))
        assert type(first).__name__ == "Gap", first
    assert crew.stop() == 0

    assert local(crew, "restore", aside).returncode == 0
    crew.start()
    async with Client(crew.address) as client:
        assert (await client.executions.get(late.id)).id == late.id
    assert crew.stop() == 0


@pytest.mark.parametrize(
    "garbage", [b"\xde\xad" * 8, b"", b"Dear diary\n" * 1000], ids=["header", "empty", "text"]
)
def test_a_damaged_file_is_refused_with_what_to_do(up, agents, tmp_path, garbage):
    crew = up(agents("basics")).start()
    assert local(crew, "backup", str(tmp_path / "b.db")).returncode == 0
    crew.stop()
    path = crew.data / "nightcrew.db"
    raw = path.read_bytes()
    path.write_bytes(garbage + raw[len(garbage) :] if len(garbage) == 16 else garbage)
    spoilt = path.read_bytes()
    crew.launch()
    assert crew.wait(30) == 1
    last = crew.stderr().splitlines()[-1]
    assert str(path) in last
    assert "nightcrew restore FILE" in last
    assert "Traceback" not in crew.stderr()
    assert path.read_bytes() == spoilt
    found = local(crew, "doctor")
    assert found.returncode == 1
    assert "nightcrew restore FILE" in found.stderr
    assert "Traceback" not in found.stderr
    assert local(crew, "restore", str(tmp_path / "b.db")).returncode == 0
    assert local(crew, "doctor").returncode == 0
    crew.start()
    assert crew.stop() == 0


def test_wrong_use_of_the_commands_is_told_in_a_line(up, tmp_path):
    crew = up()
    for words, says in {
        ("backup", str(tmp_path / "b.db")): "does not exist",
        ("restore", str(tmp_path / "b.db")): "is no file",
        ("doctor",): "is no folder",
    }.items():
        done = local(crew, *words)
        assert (done.returncode, done.stdout) == (1, "")
        assert says in done.stderr
        assert done.stderr.count("\n") == 1
    assert not crew.data.exists()


def test_damage_that_is_met_at_work_stops_writing_and_is_told(up, agents, tmp_path):
    """Also that of a file too large to be looked through at each start: here it comes while the runtime is up."""
    crew = up(agents("basics")).start()
    assert crew.cli("agents", "trigger", "hello", "--wait", "10s").returncode == 0
    path = crew.data / "nightcrew.db"
    assert local(crew, "backup", str(tmp_path / "b.db")).returncode == 0
    crew.stop()
    crew.start()  # its log is new: pages are read from the file
    with closing(sqlite3.connect(path)) as connection:
        pages = connection.execute(
            "SELECT rootpage FROM sqlite_schema WHERE tbl_name = 'backfills'"
        ).fetchall()
    with path.open("r+b") as file:
        for (page,) in pages:
            file.seek((page - 1) * 4096)
            file.write(b"\xff" * 4096)
    met = crew.grpcurl("nightcrew.v1.ScheduleService/ListBackfills")
    assert "Code: Unavailable" in met.stderr, (met.stdout, met.stderr)
    refused = crew.cli("agents", "trigger", "hello")
    assert refused.returncode == 1
    assert "nightcrew doctor" in refused.stderr
    assert "hello" in crew.cli("agents", "list").stdout, "reads go on"
    ready = run(["curl", "-s", f"http://{crew.web}/readyz"])
    assert json.loads(ready.stdout)["status"] == "store_damaged"
    assert crew.stderr().count("the store is damaged") == 1
    crew.stop()
    crew.launch()
    assert crew.wait(30) == 1
    assert "nightcrew restore FILE" in crew.stderr().splitlines()[-1]
    assert local(crew, "restore", str(tmp_path / "b.db")).returncode == 0
    crew.start()
    assert crew.cli("agents", "trigger", "hello", "--wait", "10s").returncode == 0
    assert crew.stop() == 0
