"""Commands of a runtime that is killed with -9: they die with it, go on after it, and what escaped is killed first."""

import json
import sys
import textwrap

import psutil
import pytest
from tests.harness.waiting import eventually, everything, holds

from nightcrew.client import Client

PROGRAM = """
    import json, os, pathlib, signal, sys, time
    import psutil

    given = json.load(sys.stdin)
    mark = pathlib.Path(given["mark"])
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    before = json.loads(mark.read_text()) if mark.exists() else []
    alive = [pid for pid in before if psutil.pid_exists(pid) and psutil.Process(pid).status() != "zombie"]
    children = []
    for leaves in (False, True):
        if (child := os.fork()) == 0:
            if leaves:
                os.setsid()
            time.sleep(300)
        children.append(child)
    while os.getsid(children[1]) != children[1]:
        time.sleep(0.01)
    mark.write_text(json.dumps([os.getpid(), *children]))
    print("begun", file=sys.stderr, flush=True)
    if before:
        for child in children:
            os.kill(child, signal.SIGKILL)
        print(json.dumps({"alive": alive, "attempt": os.environ["NIGHTCREW_ATTEMPT"]}))
        sys.exit()
    time.sleep(300)
"""


@pytest.fixture
def crew(up, tmp_path):
    folder = tmp_path / "agents"
    folder.mkdir()
    (folder / "program.py").write_text(textwrap.dedent(PROGRAM))
    program = {"command": {"argv": [sys.executable, "program.py"]}}
    manifest = {"id": "hard", "spec": {"program": program, "execution": {"cancel_grace": "0.2s"}}}
    (folder / "hard.yaml").write_text(json.dumps(manifest))
    return up(folder / "hard.yaml", flags=["--allow", "command"])


def gone(pid):
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


async def begun(mark):
    """The processes of an attempt, once it has begun."""
    pids = []

    def written():
        nonlocal pids
        pids = json.loads(mark.read_text() or "[]") if mark.exists() else []
        return pids

    await holds(written, within=20, what="the command's beginning")
    return pids


async def test_a_command_dies_with_the_runtime_and_goes_on_after_it(crew, tmp_path):
    crew.start()
    mark = tmp_path / "mark"
    async with Client(crew.address) as client:
        run = await client.agents.trigger("hard", {"mark": str(mark)})
        command, child, escaped = await begun(mark)
    crew.kill()
    await holds(lambda: gone(command) and gone(child), what="the end of the command")
    assert not gone(escaped), "it has left its group: nothing but the next start can find it"
    crew.start()
    async with Client(crew.address) as client:
        done = await client.executions.wait(run.id)
    assert (done.state, done.attempt, done.interruptions) == ("STATE_SUCCEEDED", 1, 1)
    assert done.result == {"alive": [], "attempt": "1"}
    assert gone(escaped)
    assert crew.stop() == 0


async def test_a_drain_asks_kills_and_hands_it_back(crew, tmp_path):
    crew.flags += ["--drain", "0"]
    crew.start()
    mark = tmp_path / "mark"
    async with Client(crew.address) as client:
        run = await client.agents.trigger("hard", {"mark": str(mark)})
        pids = await begun(mark)
        await eventually(lambda: everything(client.executions.logs(run.id)), what="its first words")
    assert crew.stop() == 0
    assert all(map(gone, pids[:2]))
    crew.start()
    async with Client(crew.address) as client:
        done = await client.executions.wait(run.id)
    assert (done.state, done.attempt, done.interruptions) == ("STATE_SUCCEEDED", 1, 1)
    assert crew.stop() == 0
