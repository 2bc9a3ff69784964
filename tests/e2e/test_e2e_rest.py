"""REST over a real runtime: an agent's whole life through a restart and kill -9, and the guide's own commands."""

import re
import subprocess
import uuid
from pathlib import Path

import httpx
import pytest
from tests.harness.waiting import until

GUIDE = Path(__file__).parents[2] / "docs" / "rest.md"
EXAMPLES = GUIDE.parents[1] / "examples"
PREFIX = "/api/v1/background_agents"
WORKS = """
import asyncio
from nightcrew.agent import agent

@agent(start=False)
async def works(seconds: float = 0.0, text: str = "") -> dict:
    await asyncio.sleep(seconds)
    return {"text": text}
"""


class Caller:
    """Calls REST of a runtime, wherever it serves now."""

    def __init__(self, crew):
        self.crew = crew

    @property
    def url(self):
        return f"http://{self.crew.web}{PREFIX}"

    def __call__(self, method, path="", *, status=200, **request):
        answer = httpx.request(method, f"{self.url}{path}", timeout=20, **request)
        assert answer.status_code == status, f"{method} {path}: {answer.status_code} {answer.text}"
        return answer.json() if answer.content else None

    def executions(self, agent_id):
        return self("GET", f"/{agent_id}/executions?limit=1000")["executions"]


@pytest.fixture
def rest(up, agents):
    crew = up(agents("works", WORKS)).start()
    return Caller(crew)


def create(rest, **fields):
    body = {
        "name": "n",
        "flow_id": "works",
        "trigger_type": "INTERVAL",
        "trigger_config": {"weeks": 9},
        **fields,
    }
    return rest("POST", "/", json=body, status=201)["id"]


def test_a_life_through_a_restart_and_a_kill(rest):
    often = create(rest, trigger_config={"seconds": 0.2}, input_config={"text": "tick"})
    slow = create(rest)
    for agent_id in (often, slow):
        rest("POST", f"/{agent_id}/start")
    until(lambda: len(rest.executions(often)) >= 2, what="two fires")
    rest("POST", f"/{often}/pause")
    asked = rest("POST", f"/{slow}/trigger", json={"seconds": 1.5, "text": "whole"})["execution_id"]
    assert rest("GET", f"/{slow}/executions/{asked}")["status"] == "RUNNING"

    assert rest.crew.stop() == 0
    rest.crew.start()
    assert rest("GET", f"/{often}")["status"] == "PAUSED"
    assert rest("GET", f"/{slow}")["status"] == "ACTIVE"
    assert rest("POST", f"/{often}/resume")["status"] == "active"
    fired = len(rest.executions(often))
    until(lambda: len(rest.executions(often)) >= fired + 2, what="fires after a resume after a restart")
    again = rest("POST", f"/{slow}/trigger", json={"seconds": 1.5})["execution_id"]

    rest.crew.kill()
    rest.crew.start()
    until(
        lambda: [one["status"] for one in rest.executions(slow)] == ["SUCCESS", "SUCCESS"],
        what="the end of the run that was killed",
    )
    found = {one["id"]: one["result"] for one in rest.executions(slow)}
    assert found == {asked: {"text": "whole"}, again: {"text": ""}}
    fired = len(rest.executions(often))
    until(lambda: len(rest.executions(often)) >= fired + 2, what="fires after a kill")
    rest("PATCH", f"/{often}", json={"trigger_config": {"weeks": 9}})
    until(
        lambda: not any(one["status"] == "RUNNING" for one in rest.executions(often)), what="no run left open"
    )
    assert {one["status"] for one in rest.executions(often)} == {"SUCCESS"}
    for agent_id in (often, slow):
        rest("DELETE", f"/{agent_id}", status=204)
        rest("GET", f"/{agent_id}", status=404)


def test_calls_that_got_no_answer_are_sent_again_and_happen_once(rest):
    agent_id = create(rest)
    rest("POST", f"/{agent_id}/start")
    answered = {}
    for kill in range(3):
        keys = [str(uuid.uuid4()) for _ in range(20)]
        with httpx.Client(timeout=5) as client:
            for number, key in enumerate(keys):
                if number == 11 + kill:
                    rest.crew.kill()
                try:
                    answer = client.post(
                        f"{rest.url}/{agent_id}/trigger", json={"text": key}, headers={"Idempotency-Key": key}
                    )
                except httpx.TransportError:
                    continue
                answered[key] = answer.json()["execution_id"]
        rest.crew.start()
        for key in keys:
            given = rest(
                "POST", f"/{agent_id}/trigger", json={"text": key}, headers={"Idempotency-Key": key}
            )["execution_id"]
            assert given == answered.setdefault(key, given), "the first answer"
    until(
        lambda: all(one["status"] == "SUCCESS" for one in rest.executions(agent_id)),
        what="the end of all runs",
    )
    found = {one["result"]["text"]: one["id"] for one in rest.executions(agent_id)}
    assert found == answered
    assert len(rest.executions(agent_id)) == len(answered) == 60


def test_the_commands_of_the_guide(up):
    crew = up(EXAMPLES).start()
    rest = Caller(crew)
    create_it, live = re.findall(r"```sh\n(.*?)```", GUIDE.read_text(), re.DOTALL)
    create_it = create_it[create_it.index("curl") :]

    def run(commands, agent_id=""):
        script = f"set -e\nREST={rest.url}\nID={agent_id}\n" + re.sub(
            r"^curl", "curl --fail-with-body", commands, flags=re.MULTILINE
        )
        done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    run(create_it)
    (agent,) = [one for one in rest("GET", "/?flow_id=hello") if one["name"] == "Morning greeting"]
    said = run(live, agent["id"])
    for word in ("started", "triggered", "INTERVAL", "paused", "active", "stopped"):
        assert f'"{word}"' in said
    rest("GET", f"/{agent['id']}", status=404)
