"""ScheduleService over gRPC: previews and the ledger; backfills and skips are not built yet."""

from nightcrew.domain.errors import InvalidArgument
from nightcrew.gateway.grpc.convert.fire import fill_fire, preview_message, schedule_of
from nightcrew.gateway.grpc.convert.times import time_of
from nightcrew.gateway.grpc.methods import Method, unary
from nightcrew.gateway.grpc.requests import fill_page, query_of, required
from nightcrew.services.fields import FIRE_ORDERS, FIRES
from nightcrew.services.use_cases import UseCases
from nightcrew.v1 import schedule_service_pb2 as pb


class ScheduleServicer:
    """Converts, calls the use case, converts back."""

    def __init__(self, use_cases: UseCases) -> None:
        self._schedules = use_cases.schedules

    def methods(self) -> dict[str, Method]:
        """The RPCs by their names."""
        return {
            "PreviewSchedule": unary(pb.PreviewScheduleRequest, self.preview),
            "ListFires": unary(pb.ListFiresRequest, self.fires),
        }

    async def preview(self, request: pb.PreviewScheduleRequest) -> pb.PreviewScheduleResponse:
        """Computes the next nominal times of a schedule that is given, or of an agent's."""
        named = bool(request.agent_id or request.trigger_id)
        if request.HasField("schedule") == named:
            given = "both are" if named else "neither is"
            raise InvalidArgument.of(
                "schedule", f"give a schedule, or agent_id and trigger_id; {given} given"
            )
        if named:
            schedule = await self._schedules.saved(
                required(request.agent_id, "agent_id"), required(request.trigger_id, "trigger_id")
            )
        else:
            schedule = schedule_of(request.schedule, "schedule")
        after = time_of(request.after, "after") if request.HasField("after") else None
        return preview_message(self._schedules.preview(schedule, after=after, count=request.count))

    async def fires(self, request: pb.ListFiresRequest) -> pb.ListFiresResponse:
        """Lists the ledger."""
        query = query_of(request, FIRES, FIRE_ORDERS, order_by=request.order_by)
        out = pb.ListFiresResponse()
        await fill_page(out, "fires", query, self._schedules.fires, fill_fire)
        return out
