"""The services of the contract over Connect and gRPC-Web, for browsers and plain curl."""
