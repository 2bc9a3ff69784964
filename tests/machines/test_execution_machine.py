"""Executions against a small model of their states: places, waits, signals, cancels, retries and restarts."""

from dataclasses import dataclass, field

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, multiple, rule
from tests.machines.driven import BY_TEST, FEW, MANY, Driven

from nightcrew.agent import Context, agent
from nightcrew.domain.errors import FailedPrecondition
from nightcrew.domain.execution import TriggerKind
from nightcrew.services.executions import Triggering

PLACES = 2
FINAL = {"SUCCEEDED", "FAILED", "CANCELLED"}
NAP = 60.0


@dataclass
class Model:
    """An execution as it should be."""

    id: str
    priority: int
    words: list = field(default_factory=list)
    """Signals that nobody has read."""
    read: int = 0
    state: str = "QUEUED"
    wakes: float | None = None
    steps: int = 0


def made(marks):
    def mark(execution_id, number):
        marks.append((execution_id, number))

    @agent(id="it", max_concurrency=PLACES, overlap="buffer_all")
    async def body(ctx: Context):
        read = 0
        while True:
            word = await ctx.wait_signal("word")
            read += 1
            match word:
                case "step":
                    await ctx.step("mark", mark, ctx.execution_id, read)
                case "nap":
                    await ctx.sleep(NAP)
                case "fail":
                    raise ValueError(word)
                case "end":
                    return read

    return body


class Executions(RuleBasedStateMachine):
    """Whatever people can do with executions, in any order; each step of a program runs once."""

    made = Bundle("made")

    def __init__(self):
        super().__init__()
        self.marks = []
        self.driven = Driven(made(self.marks))
        self.box = self.driven.box
        self.all = []
        self.time = 0.0

    def teardown(self):
        self.driven.close()

    # ---- the model ---------------------------------------------------------------------------------------------

    def work(self):
        """Lets everything happen in the model that can."""
        moved = True
        while moved:
            moved = self._start()
            for one in self.all:
                moved = self._read(one) or moved

    def _start(self):
        taken = sum(one.state == "WAITING" for one in self.all)
        queue = sorted((one for one in self.all if one.state == "QUEUED"), key=lambda one: -one.priority)
        for one in queue[: PLACES - taken]:
            one.state = "WAITING"
        return bool(queue[: PLACES - taken])

    def _read(self, one):
        if one.state != "WAITING" or (one.wakes is not None and one.wakes > self.time):
            return False
        one.wakes = None
        if not one.words:
            return False
        word = one.words.pop(0)
        one.read += 1
        match word:
            case "step":
                one.steps += 1
            case "nap":
                one.wakes = self.time + NAP
            case "fail":
                one.state = "FAILED"
            case "end":
                one.state = "SUCCEEDED"
        return True

    # ---- the rules ---------------------------------------------------------------------------------------------

    @initialize(target=made)
    def begin(self):
        """More than there are places for, so that hardly a life is without a queue."""
        return multiple(*(self.trigger(priority) for priority in (0, 1, 0, 2)))

    @rule(target=made, priority=st.integers(0, 2))
    def trigger(self, priority):
        wish = Triggering(agent_id="it", request=BY_TEST, priority=priority)
        return self._made(self.driven.do(self.box.services.executions.trigger(wish)), priority)

    @rule(one=made, word=st.sampled_from(["step", "step", "nap", "fail", "end"]))
    def signal(self, one, word):
        error = self.driven.refused(self.box.services.steps.signal(one.id, "word", word, request=BY_TEST))
        if one.state in FINAL:
            assert isinstance(error, FailedPrecondition)
        else:
            assert error is None
            one.words.append(word)
        self.driven.do(self.box.settle())
        self.work()

    @rule(one=made)
    def cancel(self, one):
        self.driven.do(self.box.services.executions.cancel(one.id, reason="enough", request=BY_TEST))
        self.driven.do(self.box.settle())
        if one.state not in FINAL:
            one.state = "CANCELLED"
        self.work()

    @rule(target=made, one=made)
    def retry(self, one):
        if one.state not in FINAL:
            error = self.driven.refused(self.box.services.executions.retry(one.id, request=BY_TEST))
            assert isinstance(error, FailedPrecondition)
            return one
        again = self.driven.do(self.box.services.executions.retry(one.id, request=BY_TEST))
        assert (again.trigger.kind, again.trigger.cause_execution_id) == (TriggerKind.RETRY, one.id)
        return self._made(again, one.priority)

    @rule(seconds=st.sampled_from([1.0, 30.0, 61.0]))
    def pass_time(self, seconds):
        self.driven.do(self.box.advance(seconds))
        self.time += seconds
        self.work()

    @rule(away=st.sampled_from([0.0, 61.0]))
    def restart(self, away):
        self.driven.do(self.box.restart(away))
        self.time += away
        self.work()

    @rule(verb=st.sampled_from(["pause", "resume"]))
    def hold(self, verb):
        """What people asked for starts also while its agent is held, so nothing changes."""
        self.driven.do(self.box.command(verb, "it"))

    def _made(self, execution, priority):
        one = Model(execution.id, priority)
        self.all.append(one)
        self.driven.do(self.box.settle())
        self.work()
        return one

    # ---- what must hold ----------------------------------------------------------------------------------------

    @invariant()
    def all_are_as_the_model_says(self):
        found = {one.id: one for one in self.driven.do(self.box.executions("it"))}
        states = {one.id: found[one.id].state.removeprefix("STATE_") for one in self.all}
        assert states == {one.id: one.state for one in self.all}
        for one in self.all:
            if one.state == "SUCCEEDED":
                assert found[one.id].result == str(one.read)

    @invariant()
    def a_journaled_step_ran_once(self):
        assert len(self.marks) == len(set(self.marks)) == sum(one.steps for one in self.all)

    @invariant()
    def an_end_is_told_once(self):
        events = self.driven.do(self.box.events("it"))
        ends = [f"nightcrew.execution.{one.lower()}" for one in FINAL]
        told = [one.execution_id for one in events if one.type in ends]
        assert sorted(told) == sorted(one.id for one in self.all if one.state in FINAL)


class ManyExecutions(Executions):
    """The same in the soak: other lives each time."""


TestExecutions = Executions.TestCase
TestExecutions.settings = FEW
TestManyExecutions = pytest.mark.soak(ManyExecutions.TestCase)
TestManyExecutions.settings = MANY
