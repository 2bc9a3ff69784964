"""The services of the contract over gRPC: convert, call the use case, convert back."""
