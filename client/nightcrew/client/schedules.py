"""Schedules: when they will fire, what became of the times they fired, and what people change about that."""
# ruff: noqa: A002 - `filter` is the contract's name

from collections.abc import Mapping
from datetime import datetime
from functools import cached_property
from typing import Any

from nightcrew.client.chance import request_id as new_request_id
from nightcrew.client.models.schedule import Backfill, Fire, OverlapPolicy, PreviewedFire
from nightcrew.client.pages import Page, Pages
from nightcrew.client.transport import Transport
from nightcrew.client.wire import schedules as wire
from nightcrew.client.wire.message_parse import fill
from nightcrew.client.wire.times import to_timestamp
from nightcrew.v1 import schedule_service_pb2 as rpc
from nightcrew.v1 import schedule_service_pb2_grpc


class Schedules:
    """The face of nightcrew.v1.ScheduleService."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    async def preview(
        self,
        schedule: Mapping[str, Any] | None = None,
        *,
        agent_id: str = "",
        trigger_id: str = "",
        after: datetime | None = None,
        count: int = 10,
    ) -> tuple[PreviewedFire, ...]:
        """The next nominal times of a schedule, or of an agent's schedule trigger.

        Args:
            schedule: nightcrew.v1.Schedule, such as `{"cron": {"expression": "0 9 * * *"}}`.
            agent_id: The agent, in place of `schedule`.
            trigger_id: Its trigger.
            after: Times after it, exclusive; now by default.
            count: How many, at most 1000.
        """
        request = rpc.PreviewScheduleRequest(agent_id=agent_id, trigger_id=trigger_id, count=count)
        if schedule is not None:
            fill(request.schedule, schedule, "schedule")
            request.schedule.SetInParent()
        if after is not None:
            request.after.CopyFrom(to_timestamp(after, "after"))
        response = await self._transport.unary(self._stub.PreviewSchedule, request)
        return tuple(wire.previewed(one) for one in response.fires)

    def fires(self, *, filter: str = "", order_by: str = "", page_size: int = 200) -> Pages[Fire]:
        """The ledger of fires, newest first unless `order_by` says otherwise.

        Args:
            filter: In AIP-160's language: `agent_id = "digest" AND outcome = "OUTCOME_STARTED"`.
            order_by: A field, and `desc` where wanted.
            page_size: How many to ask for at once, at most 1000.
        """

        async def fetch(size: int, token: str) -> Page[Fire]:
            request = rpc.ListFiresRequest(page_size=size, page_token=token, filter=filter, order_by=order_by)
            response = await self._transport.unary(self._stub.ListFires, request)
            return Page(tuple(wire.fire(one) for one in response.fires), response.next_page_token)

        return Pages(fetch, page_size=page_size)

    async def backfill(
        self,
        agent_id: str,
        trigger_id: str,
        from_time: datetime,
        to_time: datetime,
        *,
        overlap: OverlapPolicy | None = None,
        request_id: str | None = None,
    ) -> Backfill:
        """Begins to run the nominal times from `from_time` to `to_time`, both inclusive.

        Raises:
            FailedPrecondition: The agent is neither ACTIVE nor PAUSED.
        """
        request = rpc.BackfillRequest(
            agent_id=agent_id,
            trigger_id=trigger_id,
            from_time=to_timestamp(from_time, "from_time"),
            to_time=to_timestamp(to_time, "to_time"),
            overlap=wire.to_overlap(overlap),
            request_id=request_id or new_request_id(),
        )
        return wire.backfill((await self._transport.unary(self._stub.Backfill, request)).backfill)

    async def get_backfill(self, backfill_id: str) -> Backfill:
        """Gives a backfill."""
        request = rpc.GetBackfillRequest(id=backfill_id)
        return wire.backfill((await self._transport.unary(self._stub.GetBackfill, request)).backfill)

    def backfills(self, *, filter: str = "", order_by: str = "", page_size: int = 200) -> Pages[Backfill]:
        """Backfills, newest first unless `order_by` says otherwise."""

        async def fetch(size: int, token: str) -> Page[Backfill]:
            request = rpc.ListBackfillsRequest(
                page_size=size, page_token=token, filter=filter, order_by=order_by
            )
            response = await self._transport.unary(self._stub.ListBackfills, request)
            return Page(tuple(wire.backfill(one) for one in response.backfills), response.next_page_token)

        return Pages(fetch, page_size=page_size)

    async def cancel_backfill(
        self, backfill_id: str, *, reason: str = "", request_id: str | None = None
    ) -> Backfill:
        """Ends a backfill: what it started runs on, nothing more is started."""
        request = rpc.CancelBackfillRequest(
            id=backfill_id, reason=reason, request_id=request_id or new_request_id()
        )
        return wire.backfill((await self._transport.unary(self._stub.CancelBackfill, request)).backfill)

    async def skip(
        self,
        agent_id: str,
        trigger_id: str,
        nominal_time: datetime,
        *,
        reason: str = "",
        request_id: str | None = None,
    ) -> Fire:
        """Names one nominal time, in advance, that will not fire; answers its row of the ledger."""
        request = rpc.SkipFireRequest(
            agent_id=agent_id,
            trigger_id=trigger_id,
            nominal_time=to_timestamp(nominal_time, "nominal_time"),
            reason=reason,
            request_id=request_id or new_request_id(),
        )
        return wire.fire((await self._transport.unary(self._stub.SkipFire, request)).fire)

    async def unskip(
        self, agent_id: str, trigger_id: str, nominal_time: datetime, *, request_id: str | None = None
    ) -> None:
        """Takes a skip back.

        Raises:
            NotFound: That time is not skipped.
        """
        request = rpc.UnskipFireRequest(
            agent_id=agent_id,
            trigger_id=trigger_id,
            nominal_time=to_timestamp(nominal_time, "nominal_time"),
            request_id=request_id or new_request_id(),
        )
        await self._transport.unary(self._stub.UnskipFire, request)

    @cached_property
    def _stub(self) -> "schedule_service_pb2_grpc.ScheduleServiceAsyncStub":
        return schedule_service_pb2_grpc.ScheduleServiceStub(self._transport.channel)
