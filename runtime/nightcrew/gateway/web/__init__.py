"""HTTP: hooks, events, REST, Connect and gRPC-Web, metrics and health on one port."""
