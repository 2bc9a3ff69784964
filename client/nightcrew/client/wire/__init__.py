"""Between the wire and the models: protobuf messages in, dataclasses and JSON out, and back."""
