"""The peer: Huey on SQLite with synchronous=FULL, four worker threads in this process, each result kept."""

import logging
import time
from pathlib import Path

import psutil
from benchmarks.crew import cpu_of, report, rss_of
from huey import SqliteHuey

WORKERS = 4


def run(folder: Path, *, n: int) -> None:
    logging.getLogger("huey").setLevel(logging.ERROR)
    folder.mkdir(parents=True, exist_ok=True)
    queue = SqliteHuey("bench", filename=str(folder / "huey.db"), fsync=True)
    entered: list[int] = []

    @queue.task()
    def noop(i: int) -> dict[str, object]:
        entered.append(i)
        return {"ok": True, "i": i}

    # Its shortest delays: a worker that found nothing looks again after 10 ms.
    consumer = queue.create_consumer(workers=WORKERS, initial_delay=0.01, max_delay=0.05, backoff=1.1)
    me = psutil.Process()
    consumer.start()
    cpu, begun = cpu_of(me), time.perf_counter()
    for i in range(n):
        noop(i)
    submitted = time.perf_counter() - begun
    while len(entered) < n:
        time.sleep(0.005)
    while queue.storage.result_store_size() < n:
        time.sleep(0.005)
    took = time.perf_counter() - begun
    consumer.stop_flag.set()
    report(
        per_second=n / took,
        submitted_per_second=n / submitted,
        cpu_us=1e6 * (cpu_of(me) - cpu) / n,
        rss_mib=rss_of(me),
    )
