"""`/metrics` for Prometheus: read when it is scraped, so that work costs nothing more.

No agent's name is a label: a hundred thousand agents would be as many time series in every figure. What happened to
one agent is in its status and in the event log.
"""

import asyncio
from collections import Counter as Counts
from collections.abc import Iterable, Sequence
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.registry import Collector
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from nightcrew.domain.event import OWN_PREFIX
from nightcrew.services.runtime import RuntimeInfo
from nightcrew.services.use_cases import UseCases

_BUCKETS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 60.0)
_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PATCH", "DELETE", "PUT", "OPTIONS"})


class Metrics:
    """The figures of one runtime."""

    def __init__(self, use_cases: UseCases) -> None:
        self._runtime = use_cases.runtime
        self._events = use_cases.events
        self._counts: Counts[str] = Counts()
        self._sequence = -1
        self._counting = asyncio.Lock()
        self._registry = CollectorRegistry(auto_describe=False)
        self._requests = Counter(
            "nightcrew_http_requests",
            "HTTP requests that were answered.",
            ["method", "status"],
            registry=self._registry,
        )
        self._seconds = Histogram(
            "nightcrew_http_request_seconds",
            "How long HTTP requests took.",
            buckets=_BUCKETS,
            registry=self._registry,
        )

    def seen(self, method: str, status: int, seconds: float) -> None:
        """An HTTP request was answered."""
        self._requests.labels(method if method in _METHODS else "other", str(status)).inc()
        self._seconds.observe(seconds)

    def routes(self) -> list[Route]:
        """The one route."""

        async def scrape(_request: Request) -> Response:
            return Response(await self.text(), media_type=CONTENT_TYPE_LATEST)

        return [Route("/metrics", scrape, methods=["GET"])]

    async def text(self) -> bytes:
        """All figures as Prometheus reads them."""
        info = await self._runtime.info()
        await self._count_events()
        families = [*_families(info), *self._event_families(), *self._component_families()]
        registry = CollectorRegistry(auto_describe=False)
        registry.register(_Once(families))
        return generate_latest(registry) + generate_latest(self._registry)

    async def _count_events(self) -> None:
        """Counts what the log has got since the last scrape; the first one begins where the log stands."""
        async with self._counting:  # two scrapes at once would count the same events twice
            if self._sequence < 0:
                self._sequence = await self._events.newest()
                return
            counts, self._sequence = await self._events.counts_after(self._sequence)
            for kind, count in counts.items():
                self._counts[kind if kind.startswith(OWN_PREFIX) else "published"] += count

    def _event_families(self) -> Iterable[Metric]:
        events = CounterMetricFamily(
            "nightcrew_events",
            "Events by type since the first scrape: of executions, nightcrew.execution.*; other people's are one.",
            labels=["type"],
        )
        for kind, count in sorted(self._counts.items()):
            events.add_metric([kind], count)
        yield events

    def _component_families(self) -> Iterable[Metric]:
        restarts = CounterMetricFamily(
            "nightcrew_component_restarts",
            "Restarts of the supervision tree's components.",
            labels=["component"],
        )
        for one in self._runtime.tree():
            restarts.add_metric([one.id], one.restarts)
        yield restarts


def _families(info: RuntimeInfo) -> Iterable[Metric]:
    build = GaugeMetricFamily("nightcrew_info", "Always 1.", labels=["version"])
    build.add_metric([info.version], 1)
    yield build
    yield _gauge("nightcrew_start_time_seconds", "When it started.", info.start_time.timestamp())
    yield _gauge("nightcrew_draining", "Whether it drains.", float(info.draining))
    agents = GaugeMetricFamily("nightcrew_agents", "Agents by state.", labels=["state"])
    for state, count in info.figures.agent_counts.items():
        agents.add_metric([state.value.removeprefix("STATE_").lower()], count)
    yield agents
    yield _gauge("nightcrew_executions_running", "Executions that hold a place.", info.figures.running)
    yield _gauge("nightcrew_executions_queued", "Executions that wait for a place.", info.figures.queued)
    yield _gauge("nightcrew_event_sequence", "The newest event's sequence.", info.figures.sequence)


def _gauge(name: str, help_text: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(name, help_text, value=value)


class _Once(Collector):
    """Gives out figures that were read already."""

    def __init__(self, families: Sequence[Metric]) -> None:
        self._families = families

    def collect(self) -> Iterable[Metric]:
        return self._families
