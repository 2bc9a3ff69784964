"""The executor over a host of the test's own: outcomes that can't be written, a host that raises, asks that come early."""

import asyncio
from pathlib import Path

import pytest

from nightcrew.crew.claims import claim_by_id
from nightcrew.crew.executor import Executor
from nightcrew.crew.log_writer import LogWriter
from nightcrew.crew.registry import Registry
from nightcrew.domain.errors import InvalidArgument
from nightcrew.domain.execution import ExecutionError, ExecutionState
from nightcrew.domain.log import NewLogEntry
from nightcrew.domain.spec.program import Isolation
from nightcrew.domain.verdict import Asked
from nightcrew.ports.host import (
    Abandoned,
    Cancelled,
    Failed,
    Interrupted,
    NotLoaded,
    ProgramSource,
    Succeeded,
)
from nightcrew.system.secrets import SystemSecrets

SOURCE = ProgramSource(kind="python", name="jobs:run", path="/jobs.py", is_async=True)


class Host:
    """A host (ports.host.Host) whose outcomes the test hands out."""

    def __init__(self):
        self.jobs, self.asked, self.answers = {}, [], {}

    async def run(self, job, sink, desk):
        self.jobs[job.execution_id] = (job, sink)
        answer = self.answers[job.execution_id] = asyncio.get_running_loop().create_future()
        return await answer

    def cancel(self, execution_id, lease):
        self.asked.append(("cancel", execution_id, lease))

    def kill(self, execution_id, lease):
        self.asked.append(("kill", execution_id, lease))


def inline(isolation, source):
    del isolation, source
    return Isolation.INLINE


class Works:
    """An executor on a desk; what ended is written down."""

    def __init__(self, desk):
        self.desk, self.host, self.registry, self.ended = desk, Host(), Registry(), []
        self.registry.put([SOURCE])
        self.logs = LogWriter(desk.commits, desk.clock)
        self.placement = inline
        self.environ = {}
        self.executor = Executor(
            commits=desk.commits,
            registry=self.registry,
            host=self.host,
            placement=self.place,
            logs=self.logs,
            secrets=SystemSecrets(Path("/nowhere"), environ=self.environ),
            clock=desk.clock,
            ids=desk.ids,
        )

    def place(self, isolation, source):
        return self.placement(isolation, source)

    async def start(self, *names, agent_id="a"):
        self.desk.commits.claiming = False
        await self.desk.admit(agent_id, *names)
        self.desk.commits.claiming = True
        claim = await self.desk.do(claim_by_id, agent_id)
        for run in claim.runs:
            self.executor.start(run, lambda agent_id, claim: self.ended.append((agent_id, claim)))

    async def settle(self):
        while True:
            await self.desk.clock.settle()
            if not self.desk.store.busy:
                return
            await asyncio.sleep(0.0002)

    async def answer(self, name, outcome):
        self.host.answers[name].set_result(outcome)
        await self.settle()


@pytest.fixture
async def works(desk):
    works = Works(desk)
    ready = asyncio.Event()
    life = asyncio.create_task(works.executor.serve(ready.set))
    await ready.wait()
    yield works
    life.cancel()
    await asyncio.gather(life, return_exceptions=True)


WHY = ExecutionError(type="E", message="m")


@pytest.mark.parametrize(
    ("outcome", "state", "error"),
    [
        (Succeeded('{"a":1}'), ExecutionState.SUCCEEDED, None),
        (Failed(WHY), ExecutionState.FAILED, "E"),
        (Cancelled(), ExecutionState.FAILED, "CancelledError"),
        (Interrupted("worker_lost", "signal 9"), ExecutionState.RUNNING, "worker_lost"),
        (NotLoaded(WHY), ExecutionState.FAILED, "E"),
        (Abandoned("it holds on"), ExecutionState.FAILED, "unkillable"),
    ],
)
async def test_every_outcome_is_written(works, desk, outcome, state, error):
    await desk.agent()
    await works.start("one", "two")
    await works.settle()
    await works.answer("one", outcome)
    row = await desk.execution("one")
    assert row.state is state
    assert (row.error.type if row.error else None) == error
    ((agent_id, claim),) = works.ended
    assert agent_id == "a"
    # What was interrupted goes on in its place; else the next one does, unless its agent is at fault.
    faulty = isinstance(outcome, NotLoaded | Abandoned)
    expected = "one" if isinstance(outcome, Interrupted) else "two"
    assert [one.execution.id for one in claim.runs] == [expected]
    assert (await desk.get()).state_reason == (
        {NotLoaded: "program_load", Abandoned: "unkillable"}[type(outcome)] if faulty else ""
    )


@pytest.mark.parametrize("poison", ["result", "memory", "error"])
async def test_an_outcome_that_can_not_be_written_fails_alone(works, desk, poison):
    await desk.agent(max_concurrency=1)
    await desk.agent("b")
    await works.start("one")
    await works.start("other", agent_id="b")
    await works.settle()
    bad = "\ud800"  # no text in a file of UTF-8
    outcome = {
        "result": Succeeded(f'"{bad}"'),
        "memory": Succeeded("1", bad),
        "error": Failed(ExecutionError(type=bad, message="")),
    }[poison]
    works.host.answers["one"].set_result(outcome)
    works.host.answers["other"].set_result(Succeeded("1"))
    await works.settle()
    row = await desk.execution("one")
    assert (row.state, row.error.type, row.result) == (ExecutionState.FAILED, "outcome_not_written", None)
    assert "UnicodeEncodeError" in row.error.message
    assert (await desk.execution("other")).state is ExecutionState.SUCCEEDED
    assert [agent_id for agent_id, _ in works.ended] in (["a", "b"], ["b", "a"])
    assert works.executor.serving


async def test_log_entries_that_can_not_be_written_keep_no_others_from_it(works, desk):
    await desk.agent()
    await desk.agent("b")
    await works.start("one")
    await works.start("other", agent_id="b")
    await works.settle()
    for name, message in (("one", "\ud800"), ("other", "fine")):
        works.host.jobs[name][1].write([NewLogEntry(time=desk.now, message=message)])
    await works.logs.flush()
    assert [one.message for one in await desk.store.reads.logs_after("other", 0, limit=9)] == ["fine"]
    await works.answer("one", Succeeded("1"))
    assert (await desk.execution("one")).state is ExecutionState.SUCCEEDED


async def test_a_host_that_raises_ends_no_other_run_and_the_row_is_left_to_the_rescuer(works, desk):
    await desk.agent()
    await desk.agent("b")
    await works.start("one")
    await works.start("other", agent_id="b")
    await works.settle()
    works.host.answers["one"].set_exception(RuntimeError("a bug of the host"))
    await works.settle()
    assert (await desk.execution("one")).state is ExecutionState.RUNNING
    assert not works.executor.owns("one", 1)
    assert works.executor.owns("other", 1)
    assert [agent_id for agent_id, _ in works.ended] == ["a"]
    await works.answer("other", Succeeded("1"))
    assert (await desk.execution("other")).state is ExecutionState.SUCCEEDED


@pytest.mark.parametrize("asked", [Asked.CANCEL, Asked.DRAIN])
async def test_what_is_asked_before_a_run_has_begun_is_heeded(works, desk, asked):
    await desk.agent()
    await works.start("one")
    works.executor.ask("one", asked)  # its task was made in this very turn
    await works.settle()
    assert works.host.jobs == {}
    row = await desk.execution("one")
    if asked is Asked.CANCEL:
        assert row.state is ExecutionState.CANCELLED
    else:
        assert (row.lease, row.unclean, row.error.type) == (
            2,
            0,
            "drained",
        )  # claimed again: nobody drains here


async def test_a_kill_cancels_first_and_kills_a_turn_later(works, desk):
    await desk.agent()
    await works.start("one")
    await works.settle()
    works.executor.kill("one")
    assert works.host.asked == [("cancel", "one", 1)]
    await works.settle()
    assert works.host.asked == [("cancel", "one", 1), ("kill", "one", 1)]
    await works.answer("one", Interrupted("killed"))
    assert (await desk.execution("one")).state is ExecutionState.CANCELLED


async def test_a_kill_of_what_is_in_its_grace_ends_the_grace(works, desk):
    await desk.agent()
    await works.start("one")
    await works.settle()
    works.executor.ask("one", Asked.CANCEL)
    await desk.clock.advance(3)
    assert works.host.asked == [("cancel", "one", 1)]
    works.executor.kill("one")
    await works.settle()
    assert works.host.asked[-1] == ("kill", "one", 1)
    await works.answer("one", Cancelled())


@pytest.mark.parametrize("first", [Asked.TIME_OUT, Asked.DEADLINE, Asked.DRAIN, Asked.CANCEL])
@pytest.mark.parametrize("second", [Asked.TIME_OUT, Asked.DEADLINE, Asked.DRAIN, Asked.CANCEL])
async def test_the_first_to_ask_names_the_reason_save_that_a_cancel_outranks_a_drain(
    works, desk, first, second
):
    await desk.agent()
    await works.start("one")
    await works.settle()
    run = works.executor._runs["one"]
    run.ask(first)
    run.ask(second)
    outranked = first is Asked.DRAIN and second is Asked.CANCEL
    assert run.asked is (second if outranked else first)
    assert [one[0] for one in works.host.asked] == ["cancel"] * (2 if outranked else 1)
    await desk.clock.advance(10)
    assert ("kill", "one", 1) in works.host.asked
    await works.answer("one", Cancelled())


async def test_a_program_that_can_not_run_where_its_author_wants_it_is_not_loaded(works, desk):
    def refuse(isolation, source):
        raise InvalidArgument.of("spec.isolation", "no")

    works.placement = refuse
    await desk.agent()
    await works.start("one")
    await works.settle()
    row = await desk.execution("one")
    assert (row.error.type, row.error.message) == ("program_load", "spec.isolation: no")


async def test_a_program_that_is_known_to_be_broken_says_why(works, desk):
    works.registry._sources.clear()
    works.registry.put_fault("python", "jobs:run", "SyntaxError in line 3")
    await desk.agent()
    await works.start("one")
    await works.settle()
    assert "SyntaxError in line 3" in (await desk.execution("one")).error.message


async def test_a_piece_of_the_crews_own_work_that_fails_harms_no_run(works, desk):
    async def fails():
        raise RuntimeError("a bug")

    await desk.agent()
    await works.start("one")
    works.executor.do(fails(), name="fails")
    await works.settle()
    await works.answer("one", Succeeded("1"))
    assert (await desk.execution("one")).state is ExecutionState.SUCCEEDED


async def test_an_executor_that_does_not_serve_starts_nothing(desk):
    works = Works(desk)
    await desk.agent()
    await works.start("one")

    async def work():
        raise AssertionError("it must not run")

    works.executor.do(work(), name="never")
    await works.settle()
    assert works.executor.running == 0
    assert (await desk.execution("one")).state is ExecutionState.RUNNING


async def test_when_it_ends_every_run_is_cancelled_and_none_is_written(desk):
    works = Works(desk)
    ready = asyncio.Event()
    life = asyncio.create_task(works.executor.serve(ready.set))
    await ready.wait()
    await desk.agent(max_concurrency=0)
    await works.start("one", "two")
    await works.settle()
    life.cancel()
    with pytest.raises(asyncio.CancelledError):
        await life
    assert works.executor.running == 0
    assert {state for _, state in await desk.states()} == {"RUNNING"}
    assert len(works.ended) == 2


FLOW = ProgramSource(kind="langflow", name="chat", path="/chat.json", is_async=True)


async def a_flow_with_a_secret(works, desk):
    works.registry.put([FLOW])
    variables = {"TOKEN": "Bearer ${secret:TOKEN}", "PLAIN": "plain"}
    await desk.agent(program={"langflow": {"flow": "chat", "variables": variables}})
    await works.start("one")
    await works.settle()
    return variables


async def test_a_run_is_handed_its_secrets_and_its_agent_keeps_their_names(works, desk):
    works.environ |= {"NIGHTCREW_SECRET_TOKEN": "hush"}
    variables = await a_flow_with_a_secret(works, desk)
    job, _ = works.host.jobs["one"]
    assert job.program.langflow.variables == {"TOKEN": "Bearer hush", "PLAIN": "plain"}
    assert (await desk.get()).spec.program.langflow.variables == variables
    assert "hush" not in "".join(one.data for one in await desk.events())


async def test_a_secret_that_is_missing_fails_the_run_and_names_it(works, desk):
    await a_flow_with_a_secret(works, desk)
    row = await desk.execution("one")
    assert row.state is ExecutionState.FAILED
    assert row.error.type == "secret_unavailable"
    assert "NIGHTCREW_SECRET_TOKEN" in row.error.message
    assert works.host.jobs == {}
