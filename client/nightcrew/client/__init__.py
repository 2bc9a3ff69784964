"""The SDK: everything a caller needs to control Nightcrew, over gRPC only."""
