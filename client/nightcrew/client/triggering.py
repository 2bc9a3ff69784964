"""Work for agents: one execution at a time, or many in few calls."""
# ruff: noqa: A002 - `input` is the contract's name

from collections.abc import Iterable, Iterator, Mapping
from datetime import timedelta
from typing import Any, Final

from nightcrew.client.agent_service import AgentServiceFace
from nightcrew.client.chance import request_id as new_request_id
from nightcrew.client.models.execution import Execution, TriggerRequest, TriggerResult
from nightcrew.client.wire import executions as wire
from nightcrew.client.wire.times import to_duration, to_timedelta
from nightcrew.client.wire.values import fill_struct
from nightcrew.v1 import agent_service_pb2 as rpc

MAX_BATCH: Final = 1000
"""Requests in one BatchTriggerAgents (contract.md)."""
MAX_BATCH_BYTES: Final = 3 * 1024 * 1024
"""Bytes of one BatchTriggerAgents: under the 4 MiB that a gRPC server takes unless it is told otherwise."""


class Triggering(AgentServiceFace):
    """The calls that make executions."""

    async def trigger(
        self,
        agent_id: str,
        input: Mapping[str, Any] | None = None,
        *,
        labels: Mapping[str, str] | None = None,
        priority: int = 0,
        wait: timedelta | float | None = None,
        request_id: str | None = None,
    ) -> Execution:
        """Makes an execution.

        Args:
            agent_id: The agent.
            input: Merged over the agent's input at the top level.
            labels: Labels of the execution.
            priority: Higher goes first among those that never started.
            wait: How long to wait for its end before answering, in seconds or as a timedelta; when it passes
                first, the answer is the execution as it is then.
            request_id: A UUID of the caller's, to be able to repeat the call in another process; made anew
                by default.

        Raises:
            FailedPrecondition: The agent is neither ACTIVE nor PAUSED, or SKIP drops it (`overlap_skipped`).
            ResourceExhausted: Its backlog is full.
        """
        length = None if wait is None else to_timedelta(wait, "wait")
        request = _request(
            TriggerRequest(
                agent_id=agent_id, input=input, labels=labels, priority=priority, request_id=request_id
            ),
            "input",
        )
        if length is not None:
            request.wait.CopyFrom(to_duration(length, "wait"))
        response = await self._transport.unary(self._stub.TriggerAgent, request, wait=length)
        return wire.execution(response.execution)

    async def trigger_many(self, requests: Iterable[TriggerRequest]) -> list[TriggerResult]:
        """Makes an execution for each request, in their order, in as few calls as can be.

        Each is answered on its own: a refused one does not stop the others. When a call fails as a whole,
        what was made before stays; repeat with the same `request_id`s to learn what that was.

        Raises:
            InvalidArgument: An input is no JSON; nothing was sent.
        """
        messages = [_request(one, f"requests[{index}].input") for index, one in enumerate(requests)]
        results: list[TriggerResult] = []
        for batch in _batches(messages):
            response = await self._transport.unary(
                self._stub.BatchTriggerAgents, rpc.BatchTriggerAgentsRequest(requests=batch)
            )
            results += (wire.trigger_result(one) for one in response.results)
        return results


def _request(asked: TriggerRequest, path: str) -> rpc.TriggerAgentRequest:
    request = rpc.TriggerAgentRequest(
        id=asked.agent_id, priority=asked.priority, request_id=asked.request_id or new_request_id()
    )
    if asked.labels:
        request.labels.update(asked.labels)
    if asked.input:
        fill_struct(request.input, asked.input, path)
    return request


def _batches(requests: list[rpc.TriggerAgentRequest]) -> Iterator[list[rpc.TriggerAgentRequest]]:
    """Runs of requests that fit one call by number and by size."""
    batch: list[rpc.TriggerAgentRequest] = []
    size = 0
    for one in requests:
        length = one.ByteSize()
        if batch and (len(batch) == MAX_BATCH or size + length > MAX_BATCH_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(one)
        size += length
    if batch:
        yield batch
