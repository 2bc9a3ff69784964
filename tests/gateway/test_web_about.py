"""What the HTTP server says of itself: health, metrics, its OpenAPI document, and nothing secret in its log."""

import asyncio

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families
from starlette.routing import Route
from structlog.testing import capture_logs

from nightcrew.crew.bus import Signal
from nightcrew.gateway.web.app import routes
from nightcrew.gateway.web.metrics import Metrics
from nightcrew.gateway.web.openapi import document
from nightcrew.system.ids import SystemIds


@pytest.fixture
async def client(box):
    async with httpx.AsyncClient(base_url=f"http://{box.runtime.web.address}", trust_env=False) as client:
        yield client


async def test_it_is_alive_and_ready_until_it_drains(box, client):
    assert (await client.get("/healthz")).json() == {"status": "ok"}
    assert (await client.get("/readyz")).json()["status"] == "ready"
    box.runtime.guard.close("it drains")
    answer = await client.get("/readyz")
    assert (answer.status_code, answer.json()["status"]) == (503, "draining")
    assert (await client.get("/healthz")).status_code == 200


async def figures(client):
    text = (await client.get("/metrics")).text
    return {
        (sample.name, *sorted(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


async def test_the_figures_are_those_of_the_runtime(box, client):
    await box.active("a")
    await box.create("b")
    before = await figures(client)
    assert before["nightcrew_agents", "active"] == 1
    assert before["nightcrew_agents", "stopped"] >= 1
    for _ in range(3):
        await box.trigger("a", input={"text": "x"}, wait="5s")
    after = await figures(client)
    assert after["nightcrew_events_total", "nightcrew.execution.succeeded"] == 3
    assert after["nightcrew_event_sequence",] > before["nightcrew_event_sequence",]
    assert after["nightcrew_http_requests_total", "200", "GET"] >= 1
    assert after["nightcrew_component_restarts_total", "nightcrew/store"] == 0
    assert not any("a" in key[1:] for key in after), "no agent's name is a label"


async def test_scrapes_at_once_count_an_event_once(box):
    metrics = Metrics(box.runtime.services)
    await metrics.text()  # it counts from here on
    await box.active("a")
    await box.trigger("a", wait="5s")
    await asyncio.gather(*(metrics.text() for _ in range(8)))
    assert b'nightcrew_events_total{type="nightcrew.execution.succeeded"} 1.0' in await metrics.text()


async def test_the_document_has_every_path_that_is_served(box, client):
    shown = (await client.get("/api/openapi.json")).json()
    assert shown == document()
    assert shown["openapi"].startswith("3.1")
    served = {
        (one.path.rstrip("/") or "/", method.lower())
        for one in routes(box.runtime.services, ids=SystemIds(), closing=Signal())
        if isinstance(one, Route)
        for method in one.methods - {"HEAD"}
    }
    told = {(path.rstrip("/"), method) for path, item in shown["paths"].items() for method in item}
    assert served | {("/metrics", "get")} == told


async def test_a_request_is_a_line_without_what_may_be_secret(box, client):
    with capture_logs() as lines:
        await client.post(
            "/hooks/nobody/webhook?token=s3cr3t",
            headers={"Authorization": "Bearer s3cr3t"},
            content=b"s3cr3t",
        )
    (line,) = [one for one in lines if one["event"] == "http"]
    assert (line["method"], line["path"], line["status"]) == ("POST", "/hooks/nobody/webhook", 404)
    assert "s3cr3t" not in str(lines)
