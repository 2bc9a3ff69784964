"""A journal over a worker's pipe: programs there have the same calls, and are left in the same ways."""

import pytest
from tests.hosts.support.desk import Drawer

from nightcrew.domain.step import StepKind
from nightcrew.ports.host import Interrupted, Succeeded, Suspended


@pytest.fixture
def desk():
    return Drawer()


@pytest.mark.parametrize("name", ["steps_sync", "steps_async"])
async def test_what_it_does_is_written_at_the_desk_and_answered_from_there(host, job, sink, desk, name):
    assert await host.run(job(name, is_async=name.endswith("async")), sink, desk) == Succeeded("3")
    assert desk.beats == 1
    before = dict(desk.steps)
    assert {one.kind for one in before.values()} == {StepKind.STEP}
    again = job(name, is_async=name.endswith("async"), journal=tuple(before.values()))
    assert await host.run(again, sink, desk) == Succeeded("3")
    assert desk.steps == before, "the journal answered"


@pytest.mark.parametrize("name", ["steps_sync", "steps_async"])
async def test_a_wait_leaves_the_worker(host, job, sink, desk, name):
    outcome = await host.run(job(name, is_async=name.endswith("async"), given={"until": "wait"}), sink, desk)
    assert isinstance(outcome, Suspended)
    assert outcome.open == ("/go#0",)


@pytest.mark.parametrize("name", ["steps_sync", "steps_async"])
async def test_one_that_is_no_longer_its_own_is_taken_out(host, job, sink, desk, name):
    desk.lost = True
    outcome = await host.run(job(name, is_async=name.endswith("async")), sink, desk)
    assert outcome == Interrupted("lease_lost", "it is another's")


async def test_state_that_is_another_runs_is_not_saved(host, job, sink, desk):
    assert await host.run(job("saves", is_async=True), sink, desk) == Succeeded('"saved"', '{"seen":1}')
    assert desk.memory == '{"seen":1}'
    desk.lost = True
    outcome = await host.run(job("saves", is_async=True), sink, desk)
    assert outcome == Interrupted("lease_lost", "it is another's")
