"""What the parts of the agents' face share: the transport and the stub."""

from functools import cached_property

from nightcrew.client.transport import Transport
from nightcrew.v1 import agent_service_pb2_grpc


class AgentServiceFace:
    """A part of the face of nightcrew.v1.AgentService."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    @cached_property
    def _stub(
        self,
    ) -> "agent_service_pb2_grpc.AgentServiceAsyncStub":  # the name exists for type checkers only
        return agent_service_pb2_grpc.AgentServiceStub(self._transport.channel)
