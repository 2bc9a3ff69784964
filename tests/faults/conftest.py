"""What the harness's imports need: the repository's root on the path."""

import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
if str(ROOT) not in sys.path:  # `python -m pytest` has it there, a bare `pytest` has not
    sys.path.insert(0, str(ROOT))
