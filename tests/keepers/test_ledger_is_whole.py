"""Random lives of random schedules: every nominal time while a schedule stood has one outcome, and one run at most."""

import random
from datetime import timedelta
from itertools import pairwise

import pytest

from nightcrew.agent import agent
from nightcrew.domain.errors import FailedPrecondition, InvalidArgument
from nightcrew.domain.fire import FireOutcome
from nightcrew.domain.lifecycle.agent import AgentEvent
from nightcrew.domain.schedule.compile import compile_schedule
from nightcrew.domain.spec.agent import Manifest
from nightcrew.domain.spec.policy import OverlapPolicy
from nightcrew.domain.spec.trigger import Schedule
from nightcrew.services.backfills import Wish
from nightcrew.services.once import Request
from nightcrew.services.skips import NominalTime
from nightcrew.testing.box import Box
from nightcrew.testing.clock import ManualClock

BY_TEST = Request(method="test")
MICRO = timedelta(microseconds=1)
ZONES = ("UTC", "Europe/Berlin", "America/Havana", "Australia/Lord_Howe", "Pacific/Chatham")


@agent(start=False)
async def work() -> None: ...


def random_schedule(dice):
    """A schedule that fires from a few times a day to a few times an hour."""
    kind = dice.choice(
        [
            {"cron": {"expression": f"{dice.randrange(60)} */{dice.randint(1, 6)} * * *"}},
            {"cron": {"expression": f"*/{dice.choice([7, 15, 20])} {dice.randint(0, 3)}-23 * * *"}},
            {"interval": {"every": f"{dice.randint(600, 20_000)}s"}},
            {"civil": {"days": dice.randint(1, 3), "time_of_day": f"{dice.randrange(24):02}:30"}},
        ]
    )
    zone = {} if "interval" in kind else {"time_zone": dice.choice(ZONES)}
    mode = dice.choice(["NONE", "LATEST", "ALL"])
    jitter = {"jitter": f"{dice.randint(1, 900)}s"} if dice.random() < 0.3 else {}
    return {**kind, **zone, **jitter, "catch_up": {"mode": f"CATCH_UP_MODE_{mode}"}}


class Life:
    """Agents, what happens to them, and for each the stretches over which one schedule stood."""

    def __init__(self, seed, agents, folder):
        self.dice = random.Random(seed)
        self.ids = [f"a{number}" for number in range(agents)]
        self.folder = folder
        self.clock = ManualClock()
        self.stands = {one: [] for one in self.ids}

    def box(self):
        return Box(work, folder=self.folder, clock=self.clock)

    def spec(self):
        return {
            "program": {"python": {"entrypoint": f"{work.__module__.rpartition('.')[2]}:work"}},
            "triggers": [{"id": "t", "schedule": random_schedule(self.dice)}],
        }

    def stand(self, agent_id, spec):
        """From now on this schedule stands, and none before it."""
        self.stands[agent_id].append((self.clock.now(), spec["triggers"][0]["schedule"]))

    async def create(self, box):
        program = (await box.agent("work")).spec.to_json()["program"]
        self.program = program
        for one in self.ids:
            spec = {**self.spec(), "program": program}
            await box.services.agents.create(Manifest.parse({"id": one, "spec": spec}), request=BY_TEST)
            self.stand(one, spec)
            await self.command(box, AgentEvent.START, one)

    async def command(self, box, event, agent_id):
        try:
            await box.services.agents.command(event, agent_id, reason="", request=BY_TEST)
        except FailedPrecondition:
            return  # not in this state; another dice throw will do

    async def happen(self, box):
        """Something happens to one agent."""
        one = self.dice.choice(self.ids)
        match self.dice.choice(["pause", "resume", "stop", "start", "edit", "skip", "backfill", "nothing"]):
            case "edit":
                spec = {**self.spec(), "program": self.program}
                await box.services.agents.update(
                    one, {"spec": spec}, paths=["spec.triggers"], etag="", request=BY_TEST
                )
                if self.stands[one][-1][1] != spec["triggers"][0]["schedule"]:
                    self.stand(one, spec)
            case "skip":
                plan = compile_schedule(Schedule.parse(self.stands[one][-1][1]))
                time = plan.next_after(self.clock.now() + timedelta(hours=self.dice.randint(0, 9)))
                named = NominalTime(agent_id=one, trigger_id="t", nominal_time=time)
                await box.services.skips.skip(named, reason="", request=BY_TEST)
            case "backfill":
                end = self.clock.now() - timedelta(hours=self.dice.randint(0, 9))
                wish = Wish(
                    agent_id=one,
                    trigger_id="t",
                    from_time=end - timedelta(hours=self.dice.randint(0, 30)),
                    to_time=end,
                    overlap=self.dice.choice(list(OverlapPolicy)),
                )
                try:
                    await box.services.backfills.begin(wish, request=BY_TEST)
                except (FailedPrecondition, InvalidArgument):
                    return
            case "nothing":
                pass
            case verb:
                await self.command(box, AgentEvent(verb), one)
        await box.settle()

    async def live(self, days):
        """So many days with restarts, outages, and clocks that jump forward."""
        async with self.box() as box:
            await self.create(box)
        end = self.clock.now() + timedelta(days=days)
        while self.clock.now() < end:
            async with self.box() as box:
                for _ in range(self.dice.randint(5, 25)):
                    await self.happen(box)
                    await box.advance(minutes=self.dice.randint(1, 240))
                    if self.dice.random() < 0.05:
                        self.clock.shift_wall(self.dice.randint(60, 20_000))
            await self.clock.advance(self.dice.choice([0, 60, 4000, 90_000]))
        async with self.box() as box:
            for one in self.ids:
                await self.command(box, AgentEvent.START, one)
                await self.command(box, AgentEvent.RESUME, one)
            await box.advance(hours=1)
            for one in self.ids:
                self.check(one, await box.fires(one), await box.executions(one))

    def check(self, agent_id, rows, executions):
        """The ledger against the nominal times of every stretch, found without the runtime."""
        self.check_runs(rows, executions)
        for before, after in pairwise(rows):
            assert before.last_nominal_time < after.nominal_time
        bounds = [since for since, _ in self.stands[agent_id]][1:]
        until = self.clock.now() - timedelta(hours=1)
        for (since, written), end in zip(self.stands[agent_id], [*bounds, until], strict=True):
            plan = compile_schedule(Schedule.parse(written))
            times = [
                time for time in plan.between(since, end) if since < plan.due_time(time, agent_id, "t") <= end
            ]
            for time in times:
                covering = [one for one in rows if one.nominal_time <= time <= one.last_nominal_time]
                assert len(covering) == 1, f"{agent_id}: {time} under {written} since {since} has {covering}"

    def check_runs(self, rows, executions):
        runs = [one for one in executions if one.started]
        moments = [one.trigger.nominal_time for one in runs]
        assert len(moments) == len(set(moments)), "a nominal time ran twice"
        given = {one.nominal_time: one.execution_id for one in rows if one.outcome is FireOutcome.STARTED}
        assert {one.trigger.nominal_time: one.id for one in runs}.items() <= given.items()


@pytest.mark.parametrize("seed", range(1))
async def test_every_nominal_time_has_one_outcome(seed, tmp_path):
    await Life(seed, agents=6, folder=tmp_path).live(days=2)


@pytest.mark.soak
@pytest.mark.parametrize("seed", [98, 99])
async def test_every_nominal_time_of_a_fortnight_has_one_outcome(seed, tmp_path):
    await Life(seed, agents=6, folder=tmp_path).live(days=14)
