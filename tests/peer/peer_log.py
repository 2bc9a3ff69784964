"""The peer's event log and its watches: real sequences, real tokens, and connections that break when told to."""

import asyncio
from dataclasses import dataclass, field

from google.protobuf.timestamp_pb2 import Timestamp
from peer_script import refuse

from nightcrew.v1 import event_pb2, event_service_pb2, watch_pb2


@dataclass
class Log:
    """Events by sequence, and how watches misbehave.

    `cut_after` ends the next streams with UNAVAILABLE after so many responses each (None: never); `per_response`
    is how many items go into one response; `kept_from` is the oldest sequence that is still there.
    """

    events: list = field(default_factory=list)
    cut_after: list = field(default_factory=list)
    per_response: int = 3
    kept_from: int = 1
    heartbeat: float = 0.05
    changed: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def add(self, type_, *, agent_id="", execution_id="", source="", **more):
        async with self.changed:
            sequence = self.events[-1].sequence + 1 if self.events else 1
            event = event_pb2.Event(
                sequence=sequence,
                id=more.pop("id", f"e{sequence}"),
                source=source or (f"/agents/{agent_id}" if agent_id else "/test"),
                type=type_,
                agent_id=agent_id,
                execution_id=execution_id,
                time=Timestamp(seconds=1_700_000_000 + sequence),
                **more,
            )
            self.events.append(event)
            self.changed.notify_all()
        return event

    @property
    def last(self):
        return self.events[-1].sequence if self.events else 0

    def position(self, token):
        """The sequence that a token stands for."""
        if not token:
            return None
        if not token.startswith("s"):
            refuse(
                "INVALID_ARGUMENT",
                "resume_token: is no token",
                reason="invalid_argument",
                violations=[("resume_token", "is no token that a watch gave")],
            )
        return int(token[1:])

    async def follow(self, cursor, *, response, item, matches=lambda _: True, first=(), until=None):
        """Responses from a cursor on: `first` ones as they are, then events, heartbeats when idle.

        The first response always comes at once, so that a watcher has a token before anything happens.
        """
        budget = self.cut_after.pop(0) if self.cut_after else None
        sent = 0
        if cursor + 1 < self.kept_from:
            missing = watch_pb2.Gap(from_sequence=cursor + 1, to_sequence=self.kept_from - 1)
            first = (*first, ([item(gap=missing)], self.kept_from - 1))
            cursor = self.kept_from - 1
        if not first:
            first = (([item(heartbeat=watch_pb2.Heartbeat())], cursor),)
        for items, at in first:
            self._cut(budget, sent)
            yield response(items=items, resume_token=f"s{at}")
            sent += 1
        while True:
            found = [one for one in self.events if one.sequence > cursor][: self.per_response]
            if found:
                cursor = found[-1].sequence
                items = [item(event=one) for one in found if matches(one)]
                items = items or [item(heartbeat=watch_pb2.Heartbeat())]
            elif until is not None and until():
                return
            elif await self._quiet():
                items = [item(heartbeat=watch_pb2.Heartbeat())]
            else:
                continue
            self._cut(budget, sent)
            yield response(items=items, resume_token=f"s{cursor}")
            sent += 1

    async def _quiet(self):
        async with self.changed:
            try:
                await asyncio.wait_for(self.changed.wait(), self.heartbeat)
            except TimeoutError:
                return True
        return False

    @staticmethod
    def _cut(budget, sent):
        if budget is not None and sent >= budget:
            refuse("UNAVAILABLE", "the connection was cut by the script")


def watch_events(log, request):
    cursor = log.position(request.resume_token)
    if cursor is None:
        cursor = 0 if request.include_snapshot else log.last
    return log.follow(
        cursor,
        response=event_service_pb2.WatchEventsResponse,
        item=event_service_pb2.WatchEventsItem,
        matches=lambda event: not request.filter or event.type in request.filter,
    )
