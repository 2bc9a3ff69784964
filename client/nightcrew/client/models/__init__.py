"""What the SDK gives out: frozen dataclasses, one file a noun; no message of the wire among them."""
