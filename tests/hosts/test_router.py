"""Where a program runs."""

import pytest
from tests.hosts.support.desk import DESK

from nightcrew.domain.errors import InvalidArgument
from nightcrew.domain.spec.program import Isolation
from nightcrew.hosts.router import RoutingHost, resolve_isolation
from nightcrew.ports.host import ProgramSource, Succeeded

ASYNC = ProgramSource(kind="python", name="m:f", path="m.py", is_async=True)
SYNC = ProgramSource(kind="python", name="m:f", path="m.py")
FLOW = ProgramSource(kind="langflow", name="f", path="f.json", is_async=True)
COMMAND = ProgramSource(kind="command", name="c", path="c.yaml")
HTTP = ProgramSource(kind="http", name="http://h", path="h.yaml", is_async=True)
UNSET, INLINE, POOL, OWN = Isolation


@pytest.mark.parametrize(
    ("asked", "source", "got"),
    [(UNSET, ASYNC, INLINE), (UNSET, SYNC, POOL), (UNSET, FLOW, POOL), (INLINE, ASYNC, INLINE)]
    + [(UNSET, COMMAND, OWN), (OWN, COMMAND, OWN), (UNSET, HTTP, INLINE), (INLINE, HTTP, INLINE)]
    + [(one, source, one) for one in (POOL, OWN) for source in (ASYNC, SYNC, FLOW)],
)
def test_isolation(asked, source, got):
    assert resolve_isolation(asked, source) is got


@pytest.mark.parametrize(
    ("asked", "source"),
    [(INLINE, SYNC), (INLINE, FLOW), (INLINE, COMMAND), (POOL, COMMAND), (POOL, HTTP), (OWN, HTTP)],
)
def test_what_can_not_run_there_is_refused(asked, source):
    with pytest.raises(InvalidArgument) as caught:
        resolve_isolation(asked, source, field="agent.spec.isolation")
    assert caught.value.violations[0].field == "agent.spec.isolation"


class Named:
    def __init__(self, name):
        self.name = name
        self.told = []

    async def run(self, job, sink, desk):
        return Succeeded(f'"{self.name}"')

    def cancel(self, execution_id, lease):
        self.told.append(("cancel", execution_id, lease))

    def kill(self, execution_id, lease):
        self.told.append(("kill", execution_id, lease))


@pytest.mark.parametrize(
    ("isolation", "own", "where"),
    [(INLINE, False, "inline"), (POOL, False, "process"), (OWN, False, "process"), (INLINE, True, "process")],
)
async def test_routing(programs, sink, isolation, own, where):
    inline, process, command = Named("inline"), Named("process"), Named("command")
    host = RoutingHost(inline, process, command)
    job = programs.job("m", "f", isolation=isolation, own_worker=own)
    assert await host.run(job, sink, DESK) == Succeeded(f'"{where}"')
    host.cancel("e", 1)
    host.kill("e", 2)
    assert inline.told == process.told == command.told == [("cancel", "e", 1), ("kill", "e", 2)]


@pytest.mark.parametrize(("source", "where"), [(COMMAND, "command"), (HTTP, "inline")])
@pytest.mark.parametrize("own", [False, True])
async def test_commands_and_endpoints_have_their_place_however_often_they_were_interrupted(
    programs, sink, source, where, own
):
    host = RoutingHost(Named("inline"), Named("process"), Named("command"))
    job = programs.job("m", "f", source=source, own_worker=own)
    assert await host.run(job, sink, DESK) == Succeeded(f'"{where}"')
