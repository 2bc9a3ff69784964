"""Programs by the names that callers know."""

import json

import pytest

from nightcrew.domain.errors import NotFound
from nightcrew.domain.spec.program import SessionMode

AGENT = """
    from nightcrew.agent import agent

    @agent
    async def hello():
        return "hello"
"""


async def named(box, name):
    return await box.services.programs.named(name)


async def test_a_flow_an_entrypoint_and_an_agent_name_a_program(given):
    given.write("mod", AGENT)
    flow = {"id": "44d4caa3-488a-4d5d-9a1d-20af07107439", "name": "Digest of news", "data": {"nodes": []}}
    given.write("daily_digest", json.dumps(flow), suffix=".json")
    async with given.up() as box:
        entrypoint = f"{given.module('mod')}:hello"
        assert (await named(box, entrypoint)).name == entrypoint
        assert (await named(box, "hello")).name == entrypoint, "an agent's program"
        for name in ("daily_digest", flow["id"], "daily-digest"):
            assert (await named(box, name)).langflow.flow == "daily_digest", name
        for name in ("Digest of news", "no:thing", "no", "", ":", "mod:hello", "a b:c"):
            with pytest.raises(NotFound):
                await named(box, name)


async def test_a_flow_that_shares_its_session_does_so_for_every_agent(given):
    trigger = {
        "id": "T",
        "data": {
            "type": "ScheduleTrigger",
            "node": {
                "template": {
                    "cron_expression": {"value": "@daily"},
                    "share_session": {"value": True},
                }
            },
        },
    }
    given.write("shared", json.dumps({"id": ["odd"], "data": {"nodes": [trigger]}}), suffix=".json")
    async with given.up() as box:
        assert (await named(box, "shared")).langflow.session is SessionMode.PER_AGENT
