"""Twenty thousand agents, a thousand of them due at one moment; and how long starts take."""

import time

from tests.harness.burst import burst

from nightcrew.client import Client


async def test_a_thousand_of_twenty_thousand(up, agents, figures):
    crew = up(agents("burst")).start(within=60)
    figures(await burst(crew, idle=19_000, due=1000, ahead=15))
    begin = time.monotonic()
    crew.start(within=60)
    figures([f"the next start, with 20,000 agents: {time.monotonic() - begin:.2f} s"])
    async with Client(crew.address) as client:
        counts = (await client.runtime.get()).agent_counts
        assert counts["STATE_ACTIVE"] == 20_000
    figures([f"memory then: {crew.memory() / 2**20:.0f} MiB"])
    crew.stop()


def test_the_second_start_of_a_small_crew(up, agents, figures):
    crew = up(agents("basics"))
    took = []
    for _ in range(4):
        begin = time.monotonic()
        crew.start()
        took.append(time.monotonic() - begin)
        begin = time.monotonic()
        crew.stop()
        took.append(time.monotonic() - begin)
    figures(
        [
            f"the first start: {took[0]:.2f} s",
            f"later starts: {min(took[2::2]):.2f} to {max(took[2::2]):.2f} s",
            f"ends: {min(took[1::2]):.2f} to {max(took[1::2]):.2f} s",
        ]
    )
