"""The doors: gRPC now, HTTP later."""
