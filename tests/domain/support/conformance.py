"""The conformance cases: the shared ones where they are at hand, else our copies of them."""

import json
from pathlib import Path

COPIES = Path(__file__).parents[2] / "data" / "conformance"
SHARED = Path(__file__).parents[4] / "shared" / "conformance"


def cases(name):
    """The cases of a file such as `schedules.json`."""
    shared = SHARED / name
    return json.loads((shared if shared.exists() else COPIES / name).read_text())
