"""ScheduleService over gRPC: previews, the ledger, and what people change about fires."""

from nightcrew.domain.errors import InvalidArgument
from nightcrew.gateway.grpc.convert.backfill import fill_backfill, overlap_of
from nightcrew.gateway.grpc.convert.fire import fill_fire, preview_message, schedule_of
from nightcrew.gateway.grpc.convert.times import time_of
from nightcrew.gateway.grpc.methods import Method, unary
from nightcrew.gateway.grpc.requests import fill_page, query_of, request_of, required, required_time
from nightcrew.services.backfills import Wish
from nightcrew.services.fields import BACKFILL_ORDERS, BACKFILLS, FIRE_ORDERS, FIRES
from nightcrew.services.skips import NominalTime
from nightcrew.services.use_cases import UseCases
from nightcrew.v1 import schedule_service_pb2 as pb


class ScheduleServicer:
    """Converts, calls the use case, converts back."""

    def __init__(self, use_cases: UseCases) -> None:
        self._schedules = use_cases.schedules
        self._skips = use_cases.skips
        self._backfills = use_cases.backfills

    def methods(self) -> dict[str, Method]:
        """The RPCs by their names."""
        return {
            "PreviewSchedule": unary(pb.PreviewScheduleRequest, self.preview),
            "ListFires": unary(pb.ListFiresRequest, self.fires),
            "Backfill": unary(pb.BackfillRequest, self.backfill),
            "GetBackfill": unary(pb.GetBackfillRequest, self.get_backfill),
            "ListBackfills": unary(pb.ListBackfillsRequest, self.backfills),
            "CancelBackfill": unary(pb.CancelBackfillRequest, self.cancel_backfill),
            "SkipFire": unary(pb.SkipFireRequest, self.skip),
            "UnskipFire": unary(pb.UnskipFireRequest, self.unskip),
        }

    async def preview(self, request: pb.PreviewScheduleRequest) -> pb.PreviewScheduleResponse:
        """Computes the next nominal times of a schedule that is given, or of an agent's."""
        named = bool(request.agent_id or request.trigger_id)
        if request.HasField("schedule") == named:
            given = "both are" if named else "neither is"
            raise InvalidArgument.of(
                "schedule", f"give a schedule, or agent_id and trigger_id; {given} given"
            )
        after = time_of(request.after, "after") if request.HasField("after") else None
        if named:
            agent_id = required(request.agent_id, "agent_id")
            trigger_id = required(request.trigger_id, "trigger_id")
            fires = await self._schedules.preview_saved(
                agent_id, trigger_id, after=after, count=request.count
            )
        else:
            schedule = schedule_of(request.schedule, "schedule")
            fires = self._schedules.preview(schedule, after=after, count=request.count)
        return preview_message(fires)

    async def fires(self, request: pb.ListFiresRequest) -> pb.ListFiresResponse:
        """Lists the ledger."""
        query = query_of(request, FIRES, FIRE_ORDERS, order_by=request.order_by)
        out = pb.ListFiresResponse()
        await fill_page(out, "fires", query, self._schedules.fires, fill_fire)
        return out

    async def backfill(self, request: pb.BackfillRequest) -> pb.BackfillResponse:
        """Begins to run the nominal times of a past range."""
        wish = Wish(
            agent_id=required(request.agent_id, "agent_id"),
            trigger_id=required(request.trigger_id, "trigger_id"),
            from_time=required_time(request, "from_time"),
            to_time=required_time(request, "to_time"),
            overlap=overlap_of(request.overlap, "overlap"),
        )
        begun = await self._backfills.begin(wish, request=request_of(request, "ScheduleService/Backfill"))
        out = pb.BackfillResponse()
        fill_backfill(out.backfill, begun)
        return out

    async def get_backfill(self, request: pb.GetBackfillRequest) -> pb.GetBackfillResponse:
        """Gives a backfill."""
        out = pb.GetBackfillResponse()
        fill_backfill(out.backfill, await self._backfills.get(required(request.id, "id")))
        return out

    async def backfills(self, request: pb.ListBackfillsRequest) -> pb.ListBackfillsResponse:
        """Lists backfills."""
        query = query_of(request, BACKFILLS, BACKFILL_ORDERS, order_by=request.order_by)
        out = pb.ListBackfillsResponse()
        await fill_page(out, "backfills", query, self._backfills.page, fill_backfill)
        return out

    async def cancel_backfill(self, request: pb.CancelBackfillRequest) -> pb.CancelBackfillResponse:
        """Ends a backfill; what it started runs on."""
        ended = await self._backfills.cancel(
            required(request.id, "id"),
            reason=request.reason,
            request=request_of(request, "ScheduleService/CancelBackfill"),
        )
        out = pb.CancelBackfillResponse()
        fill_backfill(out.backfill, ended)
        return out

    async def skip(self, request: pb.SkipFireRequest) -> pb.SkipFireResponse:
        """Names one nominal time in advance that will not fire."""
        fire = await self._skips.skip(
            _nominal_time(request),
            reason=request.reason,
            request=request_of(request, "ScheduleService/SkipFire"),
        )
        out = pb.SkipFireResponse()
        fill_fire(out.fire, fire)
        return out

    async def unskip(self, request: pb.UnskipFireRequest) -> pb.UnskipFireResponse:
        """Takes a skip back."""
        await self._skips.unskip(
            _nominal_time(request), request=request_of(request, "ScheduleService/UnskipFire")
        )
        return pb.UnskipFireResponse()


def _nominal_time(request: pb.SkipFireRequest | pb.UnskipFireRequest) -> NominalTime:
    return NominalTime(
        agent_id=required(request.agent_id, "agent_id"),
        trigger_id=required(request.trigger_id, "trigger_id"),
        nominal_time=required_time(request, "nominal_time"),
    )
