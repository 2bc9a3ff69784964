"""EventService over gRPC: not built yet, so that every RPC answers UNIMPLEMENTED."""

from nightcrew.gateway.grpc.methods import Method


class EventServicer:
    """Nothing but its place in the contract."""

    def methods(self) -> dict[str, Method]:
        """The RPCs by their names: none."""
        return {}
