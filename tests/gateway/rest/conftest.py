"""A whole runtime, and a client of its REST."""

import contextlib

import httpx
import pytest
from tests.gateway.support.gateway_box import serving, until

from nightcrew.gateway.web.rest.operations import PREFIX

CREATE = {
    "name": "Morning digest",
    "description": "What came in overnight",
    "flow_id": "echo",
    "trigger_type": "CRON",
    "trigger_config": {"minute": "0", "hour": "9", "day_of_week": "mon-fri"},
    "input_config": {"input_value": "hi", "input_type": "chat", "output_type": "chat", "tweaks": {"a": 1}},
    "enabled": True,
}


class Rest:
    """REST as its callers use it, with shorthands for what tests do all the time."""

    def __init__(self, box, client):
        self.box = box
        self.client = client

    async def call(self, method, path="/", *, status=200, **request):
        """What a call is answered with, which must have this status."""
        if "content" in request:
            request["headers"] = {"content-type": "application/json"}
        answer = await self.client.request(method, f"{PREFIX}{path}", **request)
        assert answer.status_code == status, f"{method} {path}: {answer.status_code} {answer.text}"
        return answer.json() if answer.content else None

    async def create(self, flow_id="echo", kind="INTERVAL", config=None, *, headers=None, **fields):
        config = {"hours": 1} if config is None and kind == "INTERVAL" else config or {}
        body = {"name": f"my {flow_id}", "flow_id": flow_id, "trigger_type": kind, "trigger_config": config}
        return await self.call("POST", json={**body, **fields}, headers=headers, status=201)

    async def active(self, *args, **fields):
        agent_id = (await self.create(*args, **fields))["id"]
        await self.call("POST", f"/{agent_id}/start")
        return agent_id

    async def trigger(self, agent_id, payload=None, **request):
        sent = {} if payload is None else {"json": payload}
        return (await self.call("POST", f"/{agent_id}/trigger", **sent, **request))["execution_id"]

    async def agent(self, agent_id):
        return await self.call("GET", f"/{agent_id}")

    async def execution(self, agent_id, execution_id):
        return await self.call("GET", f"/{agent_id}/executions/{execution_id}")

    async def executions(self, agent_id, query="?limit=1000"):
        return (await self.call("GET", f"/{agent_id}/executions{query}"))["executions"]

    async def ended(self, agent_id, execution_id):
        await self.box.runtime.services.executions.wait(execution_id, 20)
        return await self.execution(agent_id, execution_id)

    async def fired(self, agent_id, count=1, *, source="scheduled"):
        """The executions that `source` made, the newest first, once there are so many that have ended."""

        async def enough():
            found = [
                one
                for one in await self.executions(agent_id)
                if one["trigger_source"] == source and one["completed_at"]
            ]
            return found if len(found) >= count else None

        return await until(enough, what=f"{count} runs by {source} of {agent_id}")


@contextlib.asynccontextmanager
async def resting(folder, **settings):
    """A runtime on a folder, and a client of its REST."""
    async with (
        serving(folder, **settings) as box,
        httpx.AsyncClient(base_url=f"http://{box.runtime.web.address}", trust_env=False) as client,
    ):
        yield Rest(box, client)


@pytest.fixture
async def rest(tmp_path):
    async with resting(tmp_path / "data") as rest:
        yield rest
