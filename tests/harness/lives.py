"""Random lives of random schedules: pauses, edits, restarts, outages and clocks that are set, all from one seed."""

import hashlib
import random
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from tests.harness.expected import Life, Stretch, check
from tests.harness.nominal import OVERLAPS, Year, some_schedule

from nightcrew.agent import agent
from nightcrew.domain.agent import AgentState
from nightcrew.domain.errors import FailedPrecondition, InvalidArgument
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
START = datetime(2026, 1, 1, tzinfo=UTC)
NOTICED = timedelta(seconds=31)
"""After so long every jump of the clock has been noticed."""
SMALL, NO_JUMP = timedelta(seconds=60), timedelta(seconds=5)
GATHER, SETTLED = timedelta(days=20), timedelta(days=40)
"""Executions are kept for 30 days and the ledger for 90; nothing here reaches further back than forty."""
WORDS = ("pause", "resume", "stop", "start", "edit", "skip", "backfill", "again", "nothing")
WEIGHTS = (12, 18, 6, 15, 9, 6, 6, 1, 12)


@dataclass
class Figures:
    """What a crowd has lived through."""

    times: int = 0
    rows: int = 0
    executions: int = 0
    events: dict = field(default_factory=dict)

    def count(self, what):
        self.events[what] = self.events.get(what, 0) + 1

    def __str__(self):
        told = ", ".join(f"{count} {what}" for what, count in sorted(self.events.items()))
        return f"{self.times} times, {self.rows} rows, {self.executions} executions; {told}"


class Crowd:
    """Agents with one schedule each, and what happens to them.

    Args:
        seed: Decides everything.
        agents: How many.
        days: For how long, by the wall clock.
        start: When it begins.
        folder: Of the store.
        back: Whether clocks are set back, too.
    """

    def __init__(self, seed, *, agents, days, folder, back, start=START):
        self.dice = random.Random(seed)
        self.ids = [f"a{number}" for number in range(agents)]
        self.clock = ManualClock(start)
        self.year = Year(start - timedelta(days=5), days + 50)
        self.start, self.end = start, start + timedelta(days=days)
        self.back = back
        self.figures = Figures()
        self.lives, self.versions, self.active = {}, {}, dict.fromkeys(self.ids, False)
        self.gathered = start
        self.rows, self.runs = {}, {}
        self.box = Box(quick, slow, folder=folder, clock=self.clock, seed=seed)
        CLOCK[0] = self.clock

    async def live(self):
        """From the first day to the last; returns the figures once every ledger was found whole."""
        async with self.box:
            self.programs = [
                (await self.box.agent(one)).spec.to_json()["program"] for one in ("quick", "slow")
            ]
            for one in self.ids:
                await self.create(one)
            while self.clock.now() < self.end:
                await self.step()
                if self.clock.now() > self.gathered + GATHER:
                    await self.gather()
            await self.box.restart()
            for one in self.ids:
                await self.check(one)
        return self.figures

    async def step(self):
        for _ in range(self.dice.choice([0, 1, 1, 2, 4])):
            await self.happen(self.dice.choice(self.ids))
        await self.advance(
            timedelta(minutes=self.dice.choice([1, 10, 60, 300, 700, 1500])) * self.dice.random()
        )
        throw = self.dice.random()
        if throw < 0.04:
            await self.restart()
        elif throw < (0.12 if self.back else 0.07):
            await self.jump()

    # ---- agents ----------------------------------------------------------------------------------------------

    def spec(self, version):
        overlap = self.dice.choice(OVERLAPS)
        execution: dict[str, object] = {"overlap": f"OVERLAP_POLICY_{overlap}"}
        if self.dice.random() < 0.4:
            execution["max_concurrency"] = self.dice.randint(1, 3)
        if self.dice.random() < 0.3:
            execution["max_backlog"] = self.dice.randint(1, 5)
        return {
            "program": self.dice.choice(self.programs),
            "execution": execution,
            "triggers": [{"id": "t", "schedule": version.json}],
        }

    async def create(self, agent_id):
        now = self.clock.now()
        self.versions[agent_id] = version = some_schedule(self.dice, now)
        self.lives[agent_id] = Life(agent_id, now)
        self.rows[agent_id], self.runs[agent_id] = {}, {}
        manifest = Manifest.parse({"id": agent_id, "spec": self.spec(version)})
        await self.box.services.agents.create(manifest, request=BY_TEST)
        await self.command("start", agent_id)

    async def command(self, verb, agent_id):
        try:
            await self.box.command(verb, agent_id)
        except FailedPrecondition:
            return  # not in this state; another throw will do
        self.figures.count(verb)
        state = (await self.box.agent(agent_id)).state
        assert state in {AgentState.ACTIVE, AgentState.PAUSED, AgentState.STOPPED}, state
        self.active[agent_id] = state is AgentState.ACTIVE

    async def happen(self, agent_id):
        """Something happens to an agent."""
        match self.dice.choices(WORDS, WEIGHTS)[0]:
            case "edit":
                await self.edit(agent_id)
            case "skip":
                await self.skip(agent_id)
            case "backfill":
                await self.backfill(agent_id)
            case "again":
                await self.check(agent_id)
                await self.box.services.agents.delete(agent_id, etag="", force=True, request=BY_TEST)
                await self.box.settle()
                self.figures.count("made again")
                await self.create(agent_id)
            case "nothing":
                pass
            case verb:
                await self.command(verb, agent_id)
        await self.box.settle()

    async def edit(self, agent_id):
        version = some_schedule(self.dice, self.clock.now())
        patch = {"spec": self.spec(version)}
        paths = ["spec.triggers", "spec.execution"]
        await self.box.services.agents.update(agent_id, patch, paths=paths, etag="", request=BY_TEST)
        self.versions[agent_id] = version
        life = self.lives[agent_id]
        # Those that are not due yet are forgotten.
        life.skips = {one for one in life.skips if one < self.clock.now() - timedelta(hours=1)}
        self.figures.count("edit")

    async def skip(self, agent_id):
        plan = compile_schedule(Schedule.parse(self.versions[agent_id].json))
        time = plan.next_after(self.clock.now() + timedelta(hours=self.dice.randint(0, 9)))
        if time is not None:
            named = NominalTime(agent_id=agent_id, trigger_id="t", nominal_time=time)
            try:
                await self.box.services.skips.skip(named, reason="", request=BY_TEST)
            except FailedPrecondition:
                return  # it has a row already
            self.lives[agent_id].skips.add(time)
            self.figures.count("skip")

    async def backfill(self, agent_id):
        end = self.clock.now() - timedelta(hours=self.dice.randint(0, 99))
        wish = Wish(
            agent_id=agent_id,
            trigger_id="t",
            from_time=end - timedelta(hours=self.dice.randint(0, 99)),
            to_time=end,
            overlap=self.dice.choice(list(OverlapPolicy)),
        )
        try:
            await self.box.services.backfills.begin(wish, request=BY_TEST)
        except (FailedPrecondition, InvalidArgument):
            return
        life = self.lives[agent_id]
        life.backfills.append((wish.from_time, wish.to_time))
        life.skips = {one for one in life.skips if one > wish.to_time}
        self.figures.count("backfill")

    # ---- time ------------------------------------------------------------------------------------------------

    def passed(self, after, until, *, up=True, bound=True, outage=False):
        """The wall clock has gone from one moment to another."""
        for one in self.ids:
            version, active = self.versions[one], self.active[one]
            self.lives[one].add(Stretch(after, until, version, active, up, bound, outage))

    async def advance(self, length):
        before = self.clock.now()
        await self.box.advance(length.total_seconds())
        self.passed(before, self.clock.now())

    async def restart(self):
        """An outage, in which the clock may be set as well."""
        before = self.clock.now()
        await self.box.stop()
        await self.clock.advance(self.dice.choice([0, 60, 4000, 90_000, 900_000]) * self.dice.random())
        if self.dice.random() < 0.3:
            self.clock.shift_wall(self.length(before))
        now = self.clock.now()
        await self.box.restart()
        self.figures.count("restart")
        self.shifted(before, now, up=False, outage=True)

    async def jump(self):
        """The clock is set, and noticed half a minute later, or when something happens."""
        before = self.clock.now()
        self.clock.shift_wall(self.length(before))
        now = self.clock.now()
        at_once = self.dice.random() < 0.5
        self.shifted(before, now, up=True, outage=not at_once)
        if at_once:
            await self.happen(self.dice.choice(self.ids))
        await self.box.advance(NOTICED.total_seconds())
        self.passed(now, self.clock.now(), up=False, bound=before - now <= SMALL)

    def length(self, now):
        """Seconds by which the clock is set."""
        ahead = [3, 90, 3000, 40_000, 200_000]
        back = [-40, -59, -61, -4000, -40_000, -200_000]
        if self.back and now > self.start + timedelta(days=4):
            ahead += back
        return self.dice.choice(ahead) * self.dice.choice([1, self.dice.random()])

    def shifted(self, before, now, *, up, outage):
        """The wall clock went from one moment to another without passing the time between.

        Args:
            before: From where.
            now: To where.
            up: Whether the runtime was.
            outage: Whether all that was missed was then looked at in one go.
        """
        if up and timedelta(0) <= now - before < NO_JUMP:
            self.passed(before, now)
        elif now >= before:
            self.figures.count("outage or jump forward")
            self.passed(before, now, up=up and outage, outage=outage)
        elif before - now > SMALL:
            self.figures.count("set back")
            for one in self.ids:
                self.lives[one].go_back(now)
        else:
            # Little is begun anew: what was decided stays, whatever stands then.
            self.figures.count("set back a little")
            for one in self.ids:
                self.lives[one].set_back_to.append(now)
            self.passed(now, before, up=False, bound=False)

    # ---- the end ---------------------------------------------------------------------------------------------

    async def gather(self):
        """Takes down what retention would take away before the year is over."""
        self.gathered = now = self.clock.now()
        for one in self.ids:
            await self.note(one, settled=now - SETTLED)

    async def note(self, agent_id, *, settled):
        """Takes down an agent's executions, and the rows of its ledger up to a moment."""
        self.runs[agent_id].update({one.id: one for one in await self.box.executions(agent_id)})
        rows = await self.box.fires(agent_id)
        self.rows[agent_id].update({one.nominal_time: one for one in rows if one.last_nominal_time < settled})

    async def check(self, agent_id):
        """An agent's ledger against its life, at its end."""
        await self.command("start", agent_id)
        await self.command("resume", agent_id)
        await self.advance(NOTICED)
        await self.note(agent_id, settled=self.year.end)
        rows = sorted(self.rows[agent_id].values(), key=lambda row: row.nominal_time)
        runs = sorted(self.runs[agent_id].values(), key=lambda run: run.id)
        self.figures.times += check(self.lives[agent_id], rows, runs, self.year)
        self.figures.rows += len(rows)
        self.figures.executions += len(runs)


CLOCK = [None]


@agent(start=False)
async def quick() -> None: ...


@agent(start=False)
async def slow(ctx) -> None:
    """Runs for a minute or two hours, always as long for the same execution."""
    digest = hashlib.sha256(ctx.execution_id.encode()).digest()
    await CLOCK[0].sleep(60.0 + digest[0] ** 2 / 9)
