"""The peer's other services: executions, schedules, events and the runtime."""
# ruff: noqa: N802 - the contract's names

from google.protobuf.timestamp_pb2 import Timestamp
from peer_agents import page
from peer_log import watch_events
from peer_script import refuse

from nightcrew.v1 import (
    event_service_pb2,
    event_service_pb2_grpc,
    execution_service_pb2_grpc,
    runtime_pb2,
    runtime_service_pb2,
    runtime_service_pb2_grpc,
    schedule_service_pb2,
    schedule_service_pb2_grpc,
    watch_pb2,
)
from nightcrew.v1 import (
    execution_service_pb2 as rpc,
)


class Executions(execution_service_pb2_grpc.ExecutionServiceServicer):
    def __init__(self, world):
        self.world = world

    def _execution(self, execution_id):
        if execution_id not in self.world.executions:
            refuse("NOT_FOUND", f"execution {execution_id!r} does not exist", reason="not_found")
        return self.world.executions[execution_id]

    async def GetExecution(self, request, context):
        return rpc.GetExecutionResponse(execution=self._execution(request.id))

    async def ListExecutions(self, request, context):
        rows, token = page(list(reversed(self.world.executions.values())), request)
        return rpc.ListExecutionsResponse(executions=rows, next_page_token=token)

    async def CancelExecution(self, request, context):
        execution = self._execution(request.id)
        execution.cancel_requested = True
        execution.cancel_reason = request.reason
        return rpc.CancelExecutionResponse(execution=execution)

    async def ListLogs(self, request, context):
        self._execution(request.execution_id)
        rows, token = page(self.world.logs[request.execution_id], request)
        return rpc.ListLogsResponse(entries=rows, next_page_token=token)

    async def ListSteps(self, request, context):
        rows, token = page(self.world.steps[request.execution_id], request)
        return rpc.ListStepsResponse(steps=rows, next_page_token=token)

    async def RetryExecution(self, request, context):
        execution = self._execution(request.id)
        return rpc.RetryExecutionResponse(execution=self.world.new_execution(execution.agent_id, None, None))

    async def WatchExecution(self, request, context):
        """Events and logs by a token of both sequences, `s{event}.{log}`; ends with the execution."""
        execution = self._execution(request.id)
        log = self.world.log
        token = request.resume_token
        at, said = (int(one) for one in token[1:].split(".")) if token else (0, 0)
        budget = log.cut_after.pop(0) if log.cut_after else None
        sent = 0
        if request.include_snapshot and not token:
            shown = watch_pb2.ExecutionSnapshot(execution=execution, last=True)
            yield rpc.WatchExecutionResponse(
                items=[rpc.WatchExecutionItem(snapshot=shown)], resume_token=f"s{at}.{said}"
            )
            sent += 1
        while True:
            final = self.world.is_final(execution)
            items = []
            for one in log.events:
                if one.sequence > at and one.execution_id == request.id:
                    items.append(rpc.WatchExecutionItem(event=one))
                    at = one.sequence
            for one in self.world.logs[request.id]:
                if one.sequence > said and len(items) < log.per_response:
                    items.append(rpc.WatchExecutionItem(log=one))
                    said = one.sequence
            if not items and final:
                return
            if not items and not await log._quiet():
                continue
            if budget is not None and sent >= budget:
                refuse("UNAVAILABLE", "the connection was cut by the script")
            items = items or [rpc.WatchExecutionItem(heartbeat=watch_pb2.Heartbeat())]
            yield rpc.WatchExecutionResponse(items=items, resume_token=f"s{at}.{said}")
            sent += 1


class Schedules(schedule_service_pb2_grpc.ScheduleServiceServicer):
    def __init__(self, world):
        self.world = world

    async def PreviewSchedule(self, request, context):
        if request.schedule.cron.expression == "bad":
            path = "schedule.cron.expression"
            refuse(
                "INVALID_ARGUMENT",
                f"{path}: is no cron expression",
                reason="invalid_argument",
                violations=[(path, "is no cron expression"), ("schedule.time_zone", "is no IANA time zone")],
            )
        start = request.after.seconds or 1_700_000_000
        response = schedule_service_pb2.PreviewScheduleResponse()
        for number in range(1, (request.count or 10) + 1):
            response.fires.add(
                nominal_time=Timestamp(seconds=start + 3600 * number), note="shifted" if number == 2 else ""
            )
        return response

    async def ListFires(self, request, context):
        rows, token = page(self.world.fires, request)
        return schedule_service_pb2.ListFiresResponse(fires=rows, next_page_token=token)


class Events(event_service_pb2_grpc.EventServiceServicer):
    def __init__(self, world):
        self.world = world

    async def PublishEvents(self, request, context):
        response = event_service_pb2.PublishEventsResponse()
        for index, one in enumerate(request.events):
            if one.type.startswith("nightcrew."):
                path = f"events[{index}].type"
                refuse(
                    "INVALID_ARGUMENT",
                    f"{path}: is the runtime's own",
                    reason="invalid_argument",
                    violations=[(path, "is the runtime's own")],
                )
        for one in request.events:
            added = await self.world.log.add(one.type, source=one.source, subject=one.subject, data=one.data)
            response.results.add(sequence=added.sequence)
        return response

    async def ListEvents(self, request, context):
        rows, token = page(list(reversed(self.world.log.events)), request)
        return event_service_pb2.ListEventsResponse(events=rows, next_page_token=token)

    async def WatchEvents(self, request, context):
        async for response in watch_events(self.world.log, request):
            yield response


class Runtime(runtime_service_pb2_grpc.RuntimeServiceServicer):
    def __init__(self, world):
        self.world = world

    async def GetRuntime(self, request, context):
        counts = {}
        for agent in self.world.agents.values():
            name = type(agent).State.Name(agent.state)
            counts[name] = counts.get(name, 0) + 1
        return runtime_service_pb2.GetRuntimeResponse(
            runtime=runtime_pb2.Runtime(
                version="0.1.0",
                start_time=Timestamp(seconds=1_700_000_000),
                store="sqlite:.nightcrew/nightcrew.db",
                agent_counts=counts,
                running=sum(not self.world.is_final(one) for one in self.world.executions.values()),
                sequence=self.world.log.last,
            )
        )

    async def ListComponents(self, request, context):
        rows, token = page(self.world.components, request)
        return runtime_service_pb2.ListComponentsResponse(components=rows, next_page_token=token)
