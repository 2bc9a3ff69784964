"""One execution of many steps, its runtime killed -9 in the middle of them, and what must be true of it afterwards.

Each step's function writes a line as it is entered, with its process, to a file that is only appended to. What was
acknowledged is asked of ListSteps just before each kill.
"""

import asyncio
import itertools
import random
from collections import Counter
from collections.abc import Iterator, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from pathlib import Path

import psutil
from tests.harness.process import RuntimeProcess
from tests.harness.waiting import holds

from nightcrew.client import Client

AGENTS = '''
import asyncio, os, time
from nightcrew.agent import agent, Context, SyncContext

def note(folder, n):
    """One line for each time that a step's function is entered; one write, so lines never mix."""
    file = os.open(os.path.join(folder, "entered"), os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(file, f"{n} {os.getpid()}\\n".encode())
    os.close(file)

async def work(folder, n):
    note(folder, n)
    await asyncio.sleep(0.002)  # a kill may come between its effect and its journal
    return n * n

def work_in_a_thread(folder, n):
    note(folder, n)
    time.sleep(0.002)
    return n * n

async def steps_of(ctx, folder, steps, abreast):
    total = 0
    for start in range(0, steps, abreast):
        numbers = range(start, min(start + abreast, steps))
        if abreast == 1:
            total += await ctx.step(str(start), work, folder, start)
        else:
            total += sum(await asyncio.gather(*(ctx.step(str(n), work, folder, n) for n in numbers)))
    return total

@agent
async def inline(ctx: Context, folder: str, steps: int, abreast: int):
    return await steps_of(ctx, folder, steps, abreast)

@agent(isolation="pool")
async def pooled(ctx: Context, folder: str, steps: int, abreast: int):
    return await steps_of(ctx, folder, steps, abreast)

@agent
def plain(ctx: SyncContext, folder: str, steps: int, abreast: int):
    return sum(ctx.step(str(n), work_in_a_thread, folder, n) for n in range(steps))
'''


@dataclass(frozen=True)
class Kill:
    """A kill: how many lines stood in the file when all that belonged to the runtime was dead, and what was journaled."""

    lines: int
    journaled: AbstractSet[int]


@dataclass(frozen=True)
class Killed:
    """What is known of the execution once it has ended.

    Attributes:
        entered: The steps' numbers, in the order in which their functions were entered.
        journal: The journal's results, by number.
    """

    steps: int
    abreast: int
    entered: Sequence[int]
    kills: Sequence[Kill]
    journal: dict[int, object] = field(default_factory=dict)
    result: object = None

    def faults(self) -> Iterator[str]:
        """What must not be."""
        want = {n: n * n for n in range(self.steps)}
        if self.result != sum(want.values()):
            yield f"the result is {self.result}, not {sum(want.values())}"
        if self.journal != want:
            yield f"the journal differs in {sorted(n for n in want if self.journal.get(n) != want[n])}"
        if never := sorted(want.keys() - set(self.entered)):
            yield f"never entered: {never}"
        for number, kill in enumerate(self.kills, 1):
            if again := sorted(kill.journaled & set(self.entered[kill.lines :])):
                yield f"journaled before kill {number} and entered after it: {again}"
        bounds = [0, *(kill.lines for kill in self.kills), len(self.entered)]
        for life, (begin, end) in enumerate(itertools.pairwise(bounds), 1):
            if twice := sorted(n for n, count in Counter(self.entered[begin:end]).items() if count > 1):
                yield f"entered twice in life {life}, without a kill in between: {twice}"
        repeated = len(self.entered) - len(set(self.entered))
        if repeated > len(self.kills) * self.abreast:
            yield f"{repeated} were entered again, more than can have been under way at {len(self.kills)} kills"


async def killed_at_random_steps(
    crew: RuntimeProcess, folder: Path, *, agent: str, steps: int, kills: int, abreast: int, seed: int
) -> Killed:
    """Runs the execution, kills its runtime at so many random steps, and tells what happened."""
    file = folder / "entered"
    goals = sorted(random.Random(seed).sample(range(2, steps - abreast), kills))
    done: list[Kill] = []
    async with Client(crew.address) as client:
        given = {"folder": str(folder), "steps": steps, "abreast": abreast}
        execution = await client.agents.trigger(agent, given)
        for goal in goals:
            await _come_to(file, goal)
            found = await _journal(client, execution.id)
            crew.kill()
            await holds(lambda: not _alive(file), within=10, what="the end of its workers")
            done.append(Kill(len(_entered(file)), frozenset(found)))
            crew.start()
        ended = await asyncio.wait_for(client.executions.wait(execution.id), 120)
        journal = await _journal(client, execution.id)
    entered = [number for number, _ in _entered(file)]
    return Killed(steps, abreast, entered, done, journal, ended.result)


async def _come_to(file: Path, goal: int) -> None:
    """Returns once so many steps were entered, repeated ones included."""
    await holds(lambda: len(_entered(file)) >= goal, within=30, what=f"step {goal}", every=0.002)


async def _journal(client: Client, execution_id: str) -> dict[int, object]:
    """The steps that have succeeded, on disk, and their results."""
    pages = client.executions.steps(execution_id, page_size=1000)
    return {int(one.name): one.result async for one in pages if one.state == "STATE_SUCCEEDED"}


def _entered(file: Path) -> list[tuple[int, int]]:
    """(step, process) of each line."""
    if not file.exists():
        return []
    lines = file.read_text().split("\n")[:-1]
    return [(int(step), int(process)) for step, process in (line.split() for line in lines)]


def _alive(file: Path) -> set[int]:
    """Processes that have written and are not dead."""
    return {process for _, process in _entered(file) if psutil.pid_exists(process)}
