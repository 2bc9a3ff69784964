"""The agent against a small model of its table (semantics.md, An agent's states), over the real services and store."""

import asyncio

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from tests.machines.driven import BY_TEST, FEW, MANY, Driven

from nightcrew.agent import Context, agent, every
from nightcrew.domain.errors import FailedPrecondition
from nightcrew.domain.lifecycle.agent import AgentEvent
from nightcrew.services.executions import Triggering

# state → command → (state then, what the log tells); None: refused, (): stays.
TABLE: dict[str, dict] = {
    "STOPPED": {"start": ("ACTIVE", ["started"]), "pause": None, "resume": None, "stop": ()},
    "ACTIVE": {
        "start": (),
        "pause": ("PAUSED", ["paused"]),
        "resume": (),
        "stop": ("STOPPED", ["stopping", "stopped"]),
    },
    "PAUSED": {
        "start": None,
        "pause": (),
        "resume": ("ACTIVE", ["resumed"]),
        "stop": ("STOPPED", ["stopping", "stopped"]),
    },
    "ERROR": {
        "start": ("ACTIVE", ["started"]),
        "pause": None,
        "resume": ("ACTIVE", ["resumed"]),
        "stop": ("STOPPED", ["stopping", "stopped"]),
    },
}
ALLOWED = {
    "start": {"STOPPED", "ACTIVE", "ERROR"},
    "pause": {"ACTIVE", "PAUSED"},
    "resume": {"ACTIVE", "PAUSED", "ERROR"},
    "trigger": {"ACTIVE", "PAUSED"},
}
FAILURES = 2
CRASH_LOOP = 5
"""So many interruptions in a row fail a run."""


def made():
    @agent(
        id="it", triggers=[every(hours=1)], pause_after_failures=FAILURES, overlap="allow", max_concurrency=0
    )
    async def body(ctx: Context, how: str = "well", place: int = 0):
        if how == "badly":
            raise ValueError(how)
        if how == "long":
            await asyncio.Event().wait()

    return body


class Agents(RuleBasedStateMachine):
    """Commands, triggers, failures, fires, edits and restarts in any order."""

    def __init__(self):
        super().__init__()
        self.driven = Driven(made())
        self.box = self.driven.box
        self.state, self.failures, self.generation, self.places = "ACTIVE", 0, 1, None
        self.runs = 0
        self.long = []
        """How often in a row each run that goes on was interrupted."""
        self.driven.news()

    def teardown(self):
        self.driven.close()

    def told(self, *kinds):
        news = [one.type for one in self.driven.news() if one.type.startswith("nightcrew.agent.")]
        assert news == [f"nightcrew.agent.{kind}" for kind in kinds]

    @rule(verb=st.sampled_from(["start", "pause", "resume", "stop"]))
    def command(self, verb):
        service = self.box.services.agents
        step = TABLE[self.state][verb]
        error = self.driven.refused(service.command(AgentEvent(verb), "it", reason="", request=BY_TEST))
        self.driven.do(self.box.settle())
        if step is None:
            assert isinstance(error, FailedPrecondition)
            assert error.state == f"STATE_{self.state}"
            assert set(error.allowed_states) == {f"STATE_{one}" for one in ALLOWED[verb]}
            self.told()
            return
        assert error is None
        if not step:
            self.told()
            return
        if self.state in {"STOPPED", "ERROR"} and step[0] == "ACTIVE":
            self.failures = 0
        self.state = step[0]
        if self.state == "STOPPED":
            self.long = []
        self.told(*step[1])

    @rule(how=st.sampled_from(["well", "badly", "long"]))
    def trigger(self, how):
        wish = Triggering(agent_id="it", request=BY_TEST, input={"how": how})
        error = self.driven.refused(self.box.services.executions.trigger(wish))
        self.driven.do(self.box.settle())
        if self.state not in ALLOWED["trigger"]:
            assert isinstance(error, FailedPrecondition)
            assert set(error.allowed_states) == {f"STATE_{one}" for one in ALLOWED["trigger"]}
            self.told()
            return
        assert error is None
        self.runs += 1
        self.long += [0] * (how == "long")
        self.failures = {"well": 0, "badly": self.failures + 1, "long": self.failures}[how]
        if self.failures >= FAILURES:
            self.state = "ERROR"
            self.told("failed")
        else:
            self.told()

    @rule()
    def an_hour_passes(self):
        self.driven.do(self.box.advance(hours=1))
        if self.state == "ACTIVE":
            self.runs += 1
            self.failures = 0
        self.told()

    @rule(place=st.integers(0, 2))
    def edit(self, place):
        update = self.box.services.agents.update(
            "it", {"spec": {"input": {"place": place}}}, paths=["spec.input"], etag="", request=BY_TEST
        )
        self.driven.do(update)
        changed = place != self.places
        self.places = place
        self.generation += changed
        self.told(*(["updated"] if changed else []))

    @rule()
    def restart(self):
        self.driven.do(self.box.restart())
        self.long = [times + 1 for times in self.long]
        loops = self.long.count(CRASH_LOOP)
        self.long = [times for times in self.long if times < CRASH_LOOP]
        self.failures += loops
        fails = loops and self.failures >= FAILURES and self.state in {"ACTIVE", "PAUSED"}
        self.state = "ERROR" if fails else self.state
        self.told(*(["failed"] if fails else []))

    @rule()
    def delete_unless_stopped(self):
        if self.state != "STOPPED":
            error = self.driven.refused(
                self.box.services.agents.delete("it", etag="", force=False, request=BY_TEST)
            )
            assert error.allowed_states == ("STATE_STOPPED",)
            self.told()

    @invariant()
    def it_is_as_the_model_says(self):
        found = self.driven.do(self.box.agent("it"))
        assert found.state == f"STATE_{self.state}"
        assert found.generation == self.generation
        assert found.consecutive_failures == self.failures
        executions = self.driven.do(self.box.executions("it"))
        assert len(executions) == self.runs
        if self.state == "STOPPED":
            assert all(one.state.final for one in executions)


class ManyAgents(Agents):
    """The same in the soak: other lives each time."""


TestAgents = Agents.TestCase
TestAgents.settings = FEW
TestManyAgents = pytest.mark.soak(ManyAgents.TestCase)
TestManyAgents.settings = MANY
