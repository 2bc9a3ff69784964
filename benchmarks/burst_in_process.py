"""A burst in process: no-op executions through the use cases, each awaited, a thousand in a call, or as webhooks."""

import asyncio
import hmac
import json
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import psutil
from benchmarks.crew import check_all_succeeded, cpu_of, in_process, register, report, rss_of, spec

from nightcrew.app.runtime import Runtime
from nightcrew.domain.webhook.headers import Headers
from nightcrew.services.executions import Triggering
from nightcrew.services.once import Request
from nightcrew.services.webhooks import HookCall

AGENTS = 1000
FLIGHT = 256
BATCH = 1000
SECRET = "s"  # noqa: S105 - it keeps nothing


def wish(i: int) -> Triggering:
    return Triggering(agent_id=f"a{i % AGENTS}", request=Request(method="bench"), input={"i": i})


def signed(i: int) -> tuple[bytes, list[tuple[bytes, bytes]]]:
    """A delivery as GitHub would send it: its body, and its headers."""
    body = json.dumps({"i": i, "repository": {"full_name": "octo/hello"}, "commits": [{"id": "6113728f"}]})
    signature = hmac.new(SECRET.encode(), body.encode(), "sha256").hexdigest()
    return body.encode(), [
        (b"content-type", b"application/json"),
        (b"x-github-delivery", b"delivery-%d" % i),
        (b"x-hub-signature-256", f"sha256={signature}".encode()),
    ]


async def hook(runtime: Runtime, n: int) -> None:
    """One webhook an execution: verified, made known for a week, admitted; 256 in flight."""
    work = iter(range(n))

    async def caller() -> None:
        for i in work:
            body, headers = signed(i)
            call = HookCall(agent_id=f"a{i % AGENTS}", trigger_id="hook", headers=Headers(headers), body=body)
            await runtime.services.webhooks.receive(call)

    await asyncio.gather(*(caller() for _ in range(FLIGHT)))


async def each(runtime: Runtime, n: int) -> None:
    """One call an execution, 256 in flight."""
    work = iter(range(n))

    async def caller() -> None:
        for i in work:
            await runtime.services.executions.trigger(wish(i))

    await asyncio.gather(*(caller() for _ in range(FLIGHT)))


async def batch(runtime: Runtime, n: int) -> None:
    """A thousand executions a call, one call after the other."""
    for start in range(0, n, BATCH):
        done = await runtime.services.executions.trigger_many(
            [wish(i) for i in range(start, min(start + BATCH, n))]
        )
        for one in done:
            if isinstance(one, Exception):
                raise one


async def ended(runtime: Runtime) -> None:
    """Returns once nothing is queued or running, on disk."""
    while True:
        figures = await runtime.store.reads.store_figures()
        if not figures.running and not figures.queued:
            return
        await asyncio.sleep(0.01)


WAYS = {"each": each, "batch": batch, "hook": hook}


def agents() -> Iterable[tuple[str, dict[str, Any]]]:
    """A thousand that do nothing, each with a hook."""
    trigger = {"id": "hook", "webhook": {"scheme": "SCHEME_GITHUB", "secrets": [SECRET]}}
    return ((f"a{i}", {**spec("noop"), "triggers": [trigger]}) for i in range(AGENTS))


async def run(folder: Path, *, n: int, way: str) -> None:
    me = psutil.Process()
    async with in_process(folder) as runtime:
        await register(runtime, agents())
        commits, cpu, begun = runtime.store.commits, cpu_of(me), time.perf_counter()
        await WAYS[way](runtime, n)
        submitted = time.perf_counter() - begun
        await ended(runtime)
        took = time.perf_counter() - begun
        figures = {
            "per_second": n / took,
            "submitted_per_second": n / submitted,
            "cpu_us": 1e6 * (cpu_of(me) - cpu) / n,
            "units": 2 * n / (runtime.store.commits - commits),
            "rss_mib": rss_of(me),
        }
    check_all_succeeded(folder, n)
    report(**figures)
