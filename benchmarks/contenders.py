"""Who is measured, in which table, and what the targets are."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from benchmarks import (
    bare_echo,
    burst_floor,
    burst_huey,
    burst_in_process,
    burst_over_grpc,
    burst_over_http,
    events,
    schedules,
    steps,
    waits,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Contender:
    """One that is measured: `run(folder, n=…)`, sync or async, prints its figures as a line of JSON.

    `n` is what it is measured with unless told otherwise, `limit` the seconds after which it is ended. `profiled`
    is what is run to be profiled where `run` has what matters in another process.
    """

    name: str
    table: str
    what: str
    run: Callable[..., Any]
    profiled: Callable[..., Any] | None = None
    n: int = 20_000
    limit: float = 120.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """What a figure must reach: its median, or its ratio to another contender's."""

    contender: str
    figure: str
    least: float | None = None
    most: float | None = None
    against: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """One table: its title, and its figures as (key, heading, digits)."""

    title: str
    figures: tuple[tuple[str, str, int], ...]
    targets: tuple[Target, ...] = field(default=())


CONTENDERS = (
    Contender(
        name="each",
        table="burst",
        what="in process, each awaited, 256 in flight",
        run=partial(burst_in_process.run, way="each"),
    ),
    Contender(
        name="batch",
        table="burst",
        what="in process, a thousand in a call",
        run=partial(burst_in_process.run, way="batch"),
    ),
    Contender(
        name="hook",
        table="burst",
        what="in process, each a webhook that GitHub signed, 256 in flight",
        run=partial(burst_in_process.run, way="hook"),
    ),
    Contender(
        name="http-hook",
        table="burst",
        what="the same over HTTP, 64 in flight",
        run=burst_over_http.run,
    ),
    Contender(
        name="grpc-batch",
        table="burst",
        what="BatchTriggerAgents, a thousand in a call",
        run=partial(burst_over_grpc.run, way="batch"),
        profiled=partial(burst_over_grpc.run_here, way="batch"),
    ),
    Contender(
        name="grpc-unary",
        table="burst",
        what="TriggerAgent, 64 in flight",
        run=partial(burst_over_grpc.run, way="unary"),
        profiled=partial(burst_over_grpc.run_here, way="unary"),
    ),
    Contender(
        name="echo",
        table="burst",
        what="bare grpc.aio echo, 64 in flight: nothing durable",
        run=bare_echo.run,
    ),
    Contender(name="huey", table="burst", what="Huey, SQLite, synchronous=FULL", run=burst_huey.run),
    Contender(name="floor", table="burst", what="hand-written probe of the limit", run=burst_floor.run),
    Contender(
        name="fire",
        table="fire",
        what="1,000 of 20,000 agents due at one instant",
        run=schedules.fire,
        limit=180.0,
    ),
    Contender(
        name="paced",
        table="fire",
        what="100 schedules a second, evenly, of 1,000 agents, for 10 s",
        run=schedules.paced,
        n=1000,
        limit=120.0,
    ),
    Contender(
        name="few-triggers",
        table="events",
        what="100 events in a batch, each matched by one of 100 triggers in all",
        run=events.publish,
        n=100,
    ),
    Contender(
        name="many-triggers",
        table="events",
        what="the same, matched by 100 of 10,000 triggers of distinct types",
        run=events.publish,
        n=10_000,
        limit=180.0,
    ),
    Contender(
        name="crowd",
        table="crowd",
        what="one event, 1,000 agents",
        run=events.crowd,
        n=1000,
    ),
    Contender(
        name="steps",
        table="steps",
        what="1,000 steps one after another, in one execution",
        run=partial(steps.run, executions=1),
        n=1000,
    ),
    Contender(
        name="dbos",
        table="steps",
        what="the same: DBOS on SQLite, WAL, synchronous=FULL",
        run=partial(steps.peer, workflows=1),
        n=1000,
    ),
    Contender(
        name="dbos-pg",
        table="steps",
        what="the same: DBOS on PostgreSQL, fsync on",
        run=partial(steps.peer, workflows=1, postgres=True),
        n=1000,
    ),
    Contender(
        name="steps-50",
        table="steps",
        what="5,000 steps in 50 executions at once",
        run=partial(steps.run, executions=50),
        n=5000,
    ),
    Contender(
        name="dbos-50",
        table="steps",
        what="the same: DBOS on SQLite",
        run=partial(steps.peer, workflows=50),
        n=5000,
    ),
    Contender(
        name="dbos-pg-50",
        table="steps",
        what="the same: DBOS on PostgreSQL",
        run=partial(steps.peer, workflows=50, postgres=True),
        n=5000,
    ),
    Contender(
        name="abreast",
        table="steps",
        what="1,000 steps in one execution, 50 at a time in asyncio.gather",
        run=partial(steps.run, executions=1, agent="abreast"),
        n=1000,
    ),
    Contender(
        name="waits",
        table="waits",
        what="100,000 of one agent that sleep, due in the same second",
        run=partial(waits.run, agents=1, kinds=("sleep",)),
        n=100_000,
        limit=600.0,
    ),
    Contender(
        name="waits-kinds",
        table="waits",
        what="20,000 of 1,000 agents: sleeps, signals, events and calls whose time is over in the same second",
        run=partial(waits.run, agents=1000, kinds=("sleep", "signal", "event", "call")),
        n=20_000,
        limit=300.0,
    ),
    Contender(
        name="waits-event",
        table="waits",
        what="one event that 20,000 of one agent wait for",
        run=partial(waits.run, agents=1, kinds=("event",), wakes="event"),
        n=20_000,
        limit=300.0,
    ),
    Contender(
        name="waits-signals",
        table="waits",
        what="20,000 signals, 64 in flight, for as many that wait",
        run=partial(waits.run, agents=1, kinds=("signal",), wakes="signals"),
        n=20_000,
        limit=300.0,
    ),
    Contender(
        name="idle",
        table="idle",
        what="100,000 agents with schedules",
        run=schedules.rest,
        n=100_000,
        limit=300.0,
    ),
)

TABLES = {
    "burst": Table(
        title="Burst: no-op executions over 1,000 agents, from the first call to the last result on disk",
        figures=(
            ("per_second", "executions/s", 0),
            ("submitted_per_second", "accepted/s", 0),
            ("cpu_us", "CPU µs each", 0),
            ("units", "units a commit", 0),
            ("rss_mib", "MiB", 0),
        ),
        targets=(
            Target(contender="each", figure="per_second", least=3, against="huey"),
            Target(contender="batch", figure="per_second", least=3, against="huey"),
            Target(contender="hook", figure="per_second", least=0.5, against="each"),
            Target(contender="http-hook", figure="submitted_per_second", least=0.9, against="grpc-unary"),
            Target(contender="grpc-batch", figure="per_second", least=3, against="huey"),
            Target(contender="grpc-unary", figure="submitted_per_second", least=0.3, against="echo"),
        ),
    ),
    "fire": Table(
        title="Schedules: milliseconds between the instant and the body being entered, all ended",
        figures=(
            ("p50_ms", "p50 ms", 1),
            ("p99_ms", "p99 ms", 1),
            ("max_ms", "max ms", 1),
            ("ended_ms", "all on disk ms", 0),
            ("rss_mib", "MiB", 0),
        ),
        targets=(
            Target(contender="fire", figure="p99_ms", most=250),
            Target(contender="paced", figure="p99_ms", most=20),
        ),
    ),
    "events": Table(
        title="Events: publishing one of a batch of 100, with its match and its execution queued",
        figures=(
            ("per_second", "events/s", 0),
            ("matched_us", "µs, matched", 1),
            ("unmatched_us", "µs, no match", 1),
            ("cpu_us", "CPU µs", 1),
            ("rss_mib", "MiB", 0),
        ),
        targets=(Target(contender="many-triggers", figure="per_second", least=0.8, against="few-triggers"),),
    ),
    "crowd": Table(
        title="A crowd: one event that wakes 1,000 agents, milliseconds",
        figures=(
            ("answered_ms", "answered", 0),
            ("beside_ms", "a bystander's event", 0),
            ("ended_ms", "all have run", 0),
        ),
    ),
    "steps": Table(
        title="Steps: small dicts, each journaled and synced before the next",
        figures=(
            ("per_second", "steps/s", 0),
            ("cpu_us", "CPU µs each", 0),
            ("commits", "commits a step", 2),
            ("rss_mib", "MiB", 0),
        ),
        targets=(
            Target(contender="steps", figure="per_second", least=2, against="dbos"),
            Target(contender="steps", figure="per_second", least=2, against="dbos-pg"),
            Target(contender="steps-50", figure="per_second", least=5, against="dbos-50"),
            Target(contender="steps-50", figure="per_second", least=5, against="dbos-pg-50"),
        ),
    ),
    "waits": Table(
        title="Waits: very many that leave memory, a restart, and all of them woken at once",
        figures=(
            ("entered_per_second", "entered/s", 0),
            ("start_s", "restart s", 2),
            ("rss_mib", "MiB", 0),
            ("per_second", "woken and ended/s", 0),
            ("late_p50_s", "late p50 s", 2),
            ("late_max_s", "max s", 2),
            ("displaced", "out of order by", 0),
            ("peak_mib", "peak MiB", 0),
            ("beside_ms", "bystander p50 ms", 0),
            ("beside_p99_ms", "p99 ms", 0),
        ),
        targets=(
            Target(contender="waits", figure="start_s", most=20),
            Target(contender="waits", figure="peak_mib", most=1024),
        ),
    ),
    "idle": Table(
        title="Idle agents: the runtime's own process",
        figures=(
            ("start_s", "start s", 2),
            ("rss_mib", "MiB", 0),
            ("cpu_percent", "CPU % over 10 s", 2),
            ("registered_s", "registered s", 1),
            ("planned_s", "all planned s", 1),
        ),
        targets=(
            Target(contender="idle", figure="start_s", most=15),
            Target(contender="idle", figure="rss_mib", most=800),
            Target(contender="idle", figure="cpu_percent", most=2),
        ),
    ),
}


def contender(name: str) -> Contender:
    """The contender of that name."""
    return next(one for one in CONTENDERS if one.name == name)
