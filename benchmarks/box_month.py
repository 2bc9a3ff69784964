"""How long a month of schedules takes in a box (nightcrew.testing): real seconds, and fires a second.

    python benchmarks/box_month.py [DAYS]

Three agents: daily, hourly, every quarter of an hour.
"""

import asyncio
import logging
import sys
from time import perf_counter

import structlog

from nightcrew.agent import agent, cron, every
from nightcrew.testing import Box

DAYS = 30.0


@agent(triggers=[cron("0 9 * * *", tz="Europe/Berlin")])
async def daily() -> int:
    return 1


@agent(triggers=[cron("0 * * * *")])
async def hourly() -> int:
    return 1


@agent(triggers=[every(minutes=15)])
async def quarterly() -> int:
    return 1


async def main(days: float) -> None:
    """Lives through so many days, and prints the figures."""
    async with Box(daily, hourly, quarterly) as box:
        begun = perf_counter()
        await box.advance(days=days)
        seconds = perf_counter() - begun
        fires = len(await box.fires())
    print(f"{days:g} days: {fires} fires in {seconds:.2f} s, {fires / seconds:.0f} a second")


if __name__ == "__main__":
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    asyncio.run(main(float(sys.argv[1]) if len(sys.argv) > 1 else DAYS))
