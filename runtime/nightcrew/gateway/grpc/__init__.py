"""The gRPC services over the use cases."""
