"""The runtime's side of one worker process: starting it, talking to it, noticing its end."""

import asyncio
import contextlib
import functools
import signal
import socket
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any, Final

import structlog

from nightcrew.hosts.process import protocol, steps
from nightcrew.hosts.process.launch import Launched, Lines, worker_command
from nightcrew.ports.host import Desk, Interrupted, Job, LogSink, Outcome

START_TIMEOUT: Final = 60.0
STUCK_AFTER: Final = 5.0
"""Seconds without a heartbeat after which a busy worker's loop counts as blocked."""

WORKER_LOST: Final = "worker_lost"
DRAINED: Final = "drained"
_EOF_PATIENCE: Final = 1.0
_SEND_BUFFER: Final = 1024 * 1024

_log = structlog.get_logger(__name__)

Spawn = Callable[[Coroutine[Any, Any, None]], object]
"""Runs a coroutine in the host's task group."""


class WorkerFailed(Exception):  # noqa: N818 - it is an event, told in a sentence
    """A worker did not come up; the message says why."""


@dataclass(slots=True, eq=False)
class Ticket:
    """A job on its way through the pool: waiting, on a worker, or ended."""

    job: Job
    sink: LogSink
    desk: Desk
    outcome: asyncio.Future[Outcome]
    link: "WorkerLink | None" = None
    number: int = 0
    cancelling: bool = False
    killed: bool = False

    def end(self, outcome: Outcome) -> None:
        """Sets the outcome, once."""
        if not self.outcome.done():
            self.outcome.set_result(outcome)


class WorkerLink(asyncio.Protocol):
    """One worker process.

    Args:
        name: Such as `pool-1`; stands in every message about it.
        flows: Whether it loads lfx.
        spawn: Runs its watching tasks.
        freed: Called whenever it may take more, or has ended.
        log_level: For the worker's own log.
    """

    def __init__(
        self,
        name: str,
        *,
        flows: bool,
        spawn: Spawn,
        freed: Callable[["WorkerLink"], None],
        log_level: str = "info",
    ) -> None:
        self.name = name
        self.pid = 0
        self.ready = False
        self.dead = False
        self.idle_since = 0.0
        self._flows = flows
        self._spawn = spawn
        self._freed = freed
        self._log_level = log_level
        self._loop = asyncio.get_running_loop()
        self._tickets: dict[int, Ticket] = {}
        self._numbers = 0
        self._unpacker = protocol.Unpacker()
        self._transport: asyncio.Transport | None = None
        self._process: Launched | None = None
        self._hello: asyncio.Future[None] = self._loop.create_future()
        self._eof = asyncio.Event()
        self._ended = asyncio.Event()
        self._beat = 0.0
        self._verdict = ""
        self._reason = WORKER_LOST

    @property
    def load(self) -> int:
        """How many runs it has."""
        return len(self._tickets)

    @property
    def retiring(self) -> bool:
        """Whether a run in it was asked to end and has not: it gets no new ones, it may have to be killed."""
        return any(one.cancelling for one in self._tickets.values())

    @property
    def stuck(self) -> bool:
        """Whether its loop has given no sign for too long."""
        return bool(self._tickets) and self._loop.time() - self._beat > STUCK_AFTER

    async def start(self) -> None:
        """Starts the process and waits until it takes jobs.

        Raises:
            WorkerFailed: It did not come up.
        """
        ours, theirs = socket.socketpair()
        for end in (ours, theirs):
            end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER)
        try:
            ours.setblocking(False)
            pipe = theirs.fileno()
            command = worker_command(pipe, flows=self._flows, log_level=self._log_level)
            self._process = Launched(command, pipe=pipe)
            self.pid = self._process.pid
            self._transport, _ = await self._loop.create_unix_connection(lambda: self, sock=ours)
        except OSError as error:
            ours.close()
            self._finish(f"could not be started: {error}")
            raise WorkerFailed(f"worker {self.name} could not be started: {error}") from error
        finally:
            theirs.close()
        self._spawn(self._watch(self._process))
        if self._verdict:
            self.kill(self._verdict)
        try:
            async with asyncio.timeout(START_TIMEOUT):
                await self._hello
        except TimeoutError as error:
            self.kill(f"it said nothing for {START_TIMEOUT:.0f} s after its start")
            raise WorkerFailed(f"worker {self.name} did not come up within {START_TIMEOUT:.0f} s") from error
        except asyncio.CancelledError:
            self.kill("its start was given up")
            raise

    def run(self, ticket: Ticket) -> None:
        """Hands it a job; the ticket's outcome is set when the run has ended."""
        self._numbers += 1
        if not self._tickets:
            self._beat = self._loop.time()
        self._tickets[self._numbers] = ticket
        ticket.link, ticket.number = self, self._numbers
        self._send(protocol.RUN, number=ticket.number, job=protocol.job_to_json(ticket.job))

    def arrived(self, ticket: Ticket) -> None:
        """Has a run look at what it waits for."""
        self._send(protocol.ARRIVED, number=ticket.number)

    def cancel(self, ticket: Ticket) -> None:
        """Asks a run to end."""
        ticket.cancelling = True
        self._send(protocol.CANCEL, number=ticket.number)

    def kill(self, why: str, *, reason: str = WORKER_LOST) -> None:
        """Ends the process at once, with everything it started; its runs are interrupted for this reason."""
        if self.dead:
            return
        if not self._verdict:
            self._verdict, self._reason = why, reason
        self.ready = False
        if self._process is not None and not self._process.gone:
            self._process.kill_group()
        # Not started yet: `start` sees the verdict. Gone: its watcher tells.

    async def ended(self) -> None:
        """Returns when the process is gone and all its runs have their outcomes."""
        await self._ended.wait()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The pipe is open."""

    def data_received(self, data: bytes) -> None:
        """Takes what the worker says."""
        try:
            for message in self._unpacker.feed(data):
                self._take(message)
        except (protocol.ProtocolError, KeyError, TypeError, ValueError) as error:
            _log.exception("a worker speaks nonsense", worker=self.name)
            self.kill(f"it broke the protocol: {error}")

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - the base class's signature
        """The worker closed its pipe: it has ended, or must."""
        self._eof.set()
        if not self.dead:
            self._loop.call_later(_EOF_PATIENCE, self.kill, "it closed its pipe")

    def _send(self, kind: str, **content: Any) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(protocol.pack(kind, **content))

    def _take(self, message: dict[str, Any]) -> None:
        match message["kind"]:
            case protocol.LOG:
                ticket = self._tickets.get(message["number"])
                if ticket is not None:
                    ticket.sink.write([protocol.entry_from_json(one) for one in message["entries"]])
            case protocol.DONE:
                ended = self._tickets.pop(message["number"], None)
                if ended is not None:
                    outcome = protocol.outcome_from_json(message["outcome"])
                    ended.end(Interrupted("killed") if ended.killed else outcome)
                    self.idle_since = self._loop.time()
                    self._freed(self)
            case protocol.ASK | protocol.ALIVE | protocol.PROGRESS:
                asking = self._tickets.get(message["number"])
                if asking is not None:
                    self._asked(asking, message)
            case protocol.BEAT:
                self._beat = self._loop.time()
            case protocol.HELLO:
                self.ready = True
                self.idle_since = self._loop.time()
                if not self._hello.done():
                    self._hello.set_result(None)
            case kind:
                raise protocol.ProtocolError(f"a worker never says {kind!r}")

    def _asked(self, ticket: Ticket, message: dict[str, Any]) -> None:
        if message["kind"] == protocol.ALIVE:
            ticket.desk.beat()
        elif message["kind"] == protocol.PROGRESS:
            ticket.desk.report(protocol.progress_from_json(message["progress"]))
        else:
            self._spawn(self._answer(ticket, message))

    async def _answer(self, ticket: Ticket, message: dict[str, Any]) -> None:
        content = await steps.answer(ticket.desk, message["op"], message["content"])
        self._send(protocol.ANSWER, number=ticket.number, call=message["call"], content=content)

    async def _watch(self, process: Launched) -> None:
        """Follows the process to its end, keeps what it prints, then tells everybody."""
        stdout, stderr = (
            Lines(functools.partial(_log.info, worker=self.name, stream=name))
            for name in ("stdout", "stderr")
        )
        output = asyncio.ensure_future(process.output(stdout=stdout.take, stderr=stderr.take))
        try:
            code = await process.exited()
            # What it left running shares its pipes: without this their ends would never come.
            process.kill_group()
            # Outcomes that it sent before it died may still be on their way.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_EOF_PATIENCE):
                    await self._eof.wait()
                    await output
            self._finish(_how(code))
        finally:
            output.cancel()
            stdout.end()
            stderr.end()
            self.kill("the runtime ends", reason=DRAINED)
            self._finish("ended with the runtime")

    def _finish(self, how: str) -> None:
        if self.dead:
            return
        self.dead, self.ready = True, False
        message = f"worker {self.name} (pid {self.pid}) {how}" + (
            f": {self._verdict}" if self._verdict else ""
        )
        if self._transport is not None:
            self._transport.close()
        lost, self._tickets = list(self._tickets.values()), {}
        for ticket in lost:
            ticket.end(Interrupted("killed" if ticket.killed else self._reason, message))
        if not self._hello.done():
            self._hello.set_exception(WorkerFailed(message))
            self._hello.exception()  # it may be that nobody waits for it any more
        if lost or not self._verdict:
            _log.warning("a worker has ended", worker=self.name, pid=self.pid, how=message, runs=len(lost))
        self._ended.set()
        self._freed(self)


def _how(code: int) -> str:
    if code >= 0:
        return f"exited with code {code}"
    try:
        return f"was killed by {signal.Signals(-code).name}"
    except ValueError:
        return f"was killed by signal {-code}"
