"""REST for callers of the seed system, `/api/v1/background_agents`, on the same services as gRPC."""
