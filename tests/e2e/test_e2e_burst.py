"""A thousand agents fire in the same second: all of them do, and their neighbour notices nothing."""

from tests.harness.burst import burst
from tests.harness.chaos import show


async def test_a_thousand_agents_in_one_second(up, agents):
    crew = up(agents("burst")).start()
    show(await burst(crew, idle=0, due=1000, ahead=3))
