"""TriggerAgent and BatchTriggerAgents: the door for work that people ask for, and the hottest path there is."""

import asyncio
from typing import Final

from nightcrew.crew.bus import Signal
from nightcrew.domain.errors import InvalidArgument, NightcrewError
from nightcrew.domain.execution import Execution
from nightcrew.gateway.grpc.convert.agent import error_message
from nightcrew.gateway.grpc.convert.execution import fill_execution, weight
from nightcrew.gateway.grpc.convert.times import duration_of
from nightcrew.gateway.grpc.convert.values import object_of
from nightcrew.gateway.grpc.methods import Method, unary
from nightcrew.gateway.grpc.offload import converted
from nightcrew.gateway.grpc.requests import request_of, required
from nightcrew.services.executions import ExecutionService, Triggering
from nightcrew.services.once import Request
from nightcrew.v1 import agent_service_pb2 as pb

MAX_BATCH: Final = 1000
_METHOD: Final = "AgentService/TriggerAgent"
"""Items of a batch count as calls of TriggerAgent, so that one can be repeated alone."""
_PLAIN: Final = Request(method=_METHOD)


class Triggers:
    """The two RPCs that make executions.

    Args:
        executions: The use cases.
        closing: Once it is poked nobody waits any longer for an end.
    """

    def __init__(self, executions: ExecutionService, closing: Signal) -> None:
        self._executions = executions
        self._closing = closing

    def methods(self) -> dict[str, Method]:
        """The RPCs by their names."""
        return {
            "TriggerAgent": unary(pb.TriggerAgentRequest, self.trigger),
            "BatchTriggerAgents": unary(pb.BatchTriggerAgentsRequest, self.batch),
        }

    async def trigger(self, request: pb.TriggerAgentRequest) -> pb.TriggerAgentResponse:
        """Makes an execution; waits for its end if that was asked for."""
        wait = _wait_of(request, "wait")
        execution = await self._executions.trigger(await _wish_of(request))
        if wait:
            execution = await self._executions.wait(execution.id, wait, closing=self._closing)
        out = pb.TriggerAgentResponse()
        await converted(weight(execution), fill_execution, out.execution, execution)
        return out

    async def batch(self, request: pb.BatchTriggerAgentsRequest) -> pb.BatchTriggerAgentsResponse:
        """Makes many in one commit and answers each on its own."""
        count = len(request.requests)
        if not 0 < count <= MAX_BATCH:
            raise InvalidArgument.of("requests", f"must be 1 to {MAX_BATCH}, are {count}")
        waits: dict[int, float] = {}
        answers: dict[int, Execution | NightcrewError] = {}
        wishes: dict[int, Triggering] = {}
        for index, item in enumerate(request.requests):
            try:
                wait = _wait_of(item, "wait")
                wishes[index] = await _wish_of(item)
            except InvalidArgument as error:
                answers[index] = error.within(f"requests[{index}]")
            else:
                if wait:
                    waits[index] = wait
        if wishes:
            made = await self._executions.trigger_many(list(wishes.values()))
            answers |= zip(wishes, made, strict=True)
        await self._await_ends(answers, waits)
        out = pb.BatchTriggerAgentsResponse()
        for index in range(count):
            result = out.results.add()
            answer = answers[index]
            if isinstance(answer, Execution):
                await converted(weight(answer), fill_execution, result.execution, answer)
            else:
                result.error.CopyFrom(error_message(answer))
        return out

    async def _await_ends(
        self, answers: dict[int, Execution | NightcrewError], waits: dict[int, float]
    ) -> None:
        async def end_of(index: int, execution: Execution) -> None:
            answers[index] = await self._executions.wait(execution.id, waits[index], closing=self._closing)

        async with asyncio.TaskGroup() as group:
            for index in waits:
                answer = answers[index]
                if isinstance(answer, Execution):
                    group.create_task(end_of(index, answer))


def _wait_of(request: pb.TriggerAgentRequest, field: str) -> float:
    if not request.HasField("wait"):
        return 0.0
    seconds = duration_of(request.wait, field).total_seconds()
    if seconds < 0:
        raise InvalidArgument.of(field, "must not be negative")
    return seconds


async def _wish_of(request: pb.TriggerAgentRequest) -> Triggering:
    given = request.input if request.HasField("input") else None
    return Triggering(
        agent_id=required(request.id, "id"),
        request=request_of(request, _METHOD) if request.request_id else _PLAIN,
        input={} if given is None else await converted(given.ByteSize(), object_of, given, "input"),
        labels=dict(request.labels) if request.labels else {},
        priority=request.priority,
    )
