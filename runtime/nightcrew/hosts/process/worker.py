"""A worker process: its own composition root. Reads jobs from its pipe, runs them, dies with the runtime."""

import argparse
import asyncio
import os
import socket
import threading
from typing import Any, Final

from nightcrew.domain.log import NewLogEntry
from nightcrew.domain.progress import Progress
from nightcrew.hosts.attempt import Attempt
from nightcrew.hosts.branches import number_branches
from nightcrew.hosts.desks import FarDesk
from nightcrew.hosts.process import protocol
from nightcrew.hosts.process.guardian import bind_to_parent, die, post_guardian
from nightcrew.hosts.process.runs import AsyncRun, SyncRun, WorkerRun
from nightcrew.hosts.process.steps import PipeAsks
from nightcrew.hosts.reports import PipeReports
from nightcrew.ports.host import Outcome
from nightcrew.programs.langflow.runner import FlowRunner
from nightcrew.system.capture import adopt_structlog, install
from nightcrew.system.clock import SystemClock
from nightcrew.system.ids import SystemIds
from nightcrew.system.logging import configure_logging

BEAT_INTERVAL: Final = 1.0
_CHUNK: Final = 256 * 1024


class Worker:
    """Many runs at once over one pipe.

    A thread reads, so that a cancel arrives and the runtime's end is noticed while the loop is blocked.
    Frames are written at once and under a lock: what a program said just before it crashed is not lost.
    """

    def __init__(self, pipe: socket.socket, *, flows: bool) -> None:
        self._pipe = pipe
        self._with_flows = flows
        self._clock = SystemClock()
        self._sending = threading.Lock()
        self._runs: dict[int, WorkerRun] = {}
        self._asks: dict[int, PipeAsks] = {}
        self._random = SystemIds().random
        self._flows = FlowRunner()

    async def serve(self) -> None:
        """Says hello, then runs jobs until the pipe closes, which ends the process."""
        if self._with_flows:
            await self._flows.prepare()
            adopt_structlog()
        loop = asyncio.get_running_loop()
        number_branches(loop)
        threading.Thread(target=self._read, args=(loop,), name="pipe", daemon=True).start()
        self._send(protocol.pack(protocol.HELLO, pid=os.getpid()))
        while True:
            await asyncio.sleep(BEAT_INTERVAL)
            if self._runs:
                self._send(protocol.pack(protocol.BEAT))
                for asks in list(self._asks.values()):
                    asks.flush()

    def _read(self, loop: asyncio.AbstractEventLoop) -> None:
        unpacker = protocol.Unpacker()
        try:
            while data := self._pipe.recv(_CHUNK):
                for message in unpacker.feed(data):
                    self._take(message, loop)
        except OSError:
            pass  # the same as its end: the runtime is gone
        finally:
            die()

    def _take(self, message: dict[str, Any], loop: asyncio.AbstractEventLoop) -> None:
        match message["kind"]:
            case protocol.RUN:
                number = message["number"]
                # Registered here, so that a cancel that follows finds it.
                self._runs[number] = run = self._make(number, message["job"], loop)
                run.start()
            case protocol.ANSWER:
                asks = self._asks.get(message["number"])
                if asks is not None:
                    asks.answered(message["call"], message["content"])
            case protocol.ARRIVED:
                waiting = self._runs.get(message["number"])
                if waiting is not None:
                    waiting.arrived()
            case protocol.CANCEL:
                known = self._runs.get(message["number"])
                if known is not None:
                    known.cancel()
            case kind:
                raise protocol.ProtocolError(f"a worker is not told {kind!r}")

    def _make(self, number: int, data: dict[str, Any], loop: asyncio.AbstractEventLoop) -> WorkerRun:
        job = protocol.job_from_json(data)

        def emit(entry: NewLogEntry) -> None:
            self._send(protocol.pack(protocol.LOG, number=number, entries=[protocol.entry_to_json(entry)]))

        def done(outcome: Outcome) -> None:
            self._runs.pop(number, None)
            self._asks.pop(number, None)
            asks.flush()
            self._send(protocol.pack(protocol.DONE, number=number, outcome=protocol.outcome_to_json(outcome)))

        def ask(call: int, op: str, content: Any) -> None:
            self._send(protocol.pack(protocol.ASK, number=number, call=call, op=op, content=content))

        def beat() -> None:
            self._send(protocol.pack(protocol.ALIVE, number=number))

        def report(progress: Progress) -> None:
            content = protocol.progress_to_json(progress)
            self._send(protocol.pack(protocol.PROGRESS, number=number, progress=content))

        asks = PipeAsks(ask, beat, PipeReports(report, self._clock.monotonic))
        self._asks[number] = asks
        sync = not job.source.is_async
        attempt = Attempt(
            job,
            clock=self._clock,
            random=self._random,
            emit=emit,
            desk=FarDesk(asks, blocking=sync),
            sync=sync,
        )
        if job.source.is_async:
            return AsyncRun(attempt, loop=loop, flows=self._flows, done=done)
        return SyncRun(attempt, done=done)

    def _send(self, frame: bytes) -> None:
        # Blocks while the runtime does not read: a program that prints without end waits for its reader.
        with self._sending:
            try:
                self._pipe.sendall(frame)
            except OSError:
                die()


def main() -> None:
    """The process: `python -m nightcrew.hosts.process.worker --pipe FD --parent PID [--flows]`."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--pipe", type=int, required=True)
    parser.add_argument("--parent", type=int, required=True)
    parser.add_argument("--flows", action="store_true")
    parser.add_argument("--log-level", default="info")
    options = parser.parse_args()
    bind_to_parent(options.parent)
    post_guardian(options.pipe)
    os.set_inheritable(options.pipe, False)
    pipe = socket.socket(fileno=options.pipe)
    pipe.setblocking(True)
    configure_logging(level=options.log_level)
    install()
    asyncio.run(Worker(pipe, flows=options.flows).serve())


if __name__ == "__main__":
    main()
