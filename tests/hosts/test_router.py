"""Where a program runs."""

import pytest

from nightcrew.domain.errors import InvalidArgument
from nightcrew.domain.spec.program import Isolation
from nightcrew.hosts.router import RoutingHost, resolve_isolation
from nightcrew.ports.host import ProgramSource, Succeeded

ASYNC = ProgramSource(kind="python", name="m:f", path="m.py", is_async=True)
SYNC = ProgramSource(kind="python", name="m:f", path="m.py")
FLOW = ProgramSource(kind="langflow", name="f", path="f.json", is_async=True)
UNSET, INLINE, POOL, OWN = Isolation


@pytest.mark.parametrize(
    ("asked", "source", "got"),
    [(UNSET, ASYNC, INLINE), (UNSET, SYNC, POOL), (UNSET, FLOW, POOL), (INLINE, ASYNC, INLINE)]
    + [(one, source, one) for one in (POOL, OWN) for source in (ASYNC, SYNC, FLOW)],
)
def test_isolation(asked, source, got):
    assert resolve_isolation(asked, source) is got


@pytest.mark.parametrize("source", [SYNC, FLOW])
def test_inline_is_refused_for_what_would_block(source):
    with pytest.raises(InvalidArgument) as caught:
        resolve_isolation(Isolation.INLINE, source, field="agent.spec.isolation")
    assert caught.value.violations[0].field == "agent.spec.isolation"


class Named:
    def __init__(self, name):
        self.name = name
        self.told = []

    async def run(self, job, sink):
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
    inline, process = Named("inline"), Named("process")
    host = RoutingHost(inline, process)
    job = programs.job("m", "f", isolation=isolation, own_worker=own)
    assert await host.run(job, sink) == Succeeded(f'"{where}"')
    host.cancel("e", 1)
    host.kill("e", 2)
    assert inline.told == process.told == [("cancel", "e", 1), ("kill", "e", 2)]
