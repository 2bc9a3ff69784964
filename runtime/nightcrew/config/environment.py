"""What a command is given of the runtime's own environment: what programs need to run at all, and no secrets."""

import os
from typing import Final

KEPT: Final = ("PATH", "HOME", "USER", "LOGNAME", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "TMPDIR")
_PATH: Final = "/usr/local/bin:/usr/bin:/bin"


def minimal_environment() -> dict[str, str]:
    """Those of the kept variables that are set; PATH and LANG always are."""
    here = {name: value for name in KEPT if (value := os.environ.get(name))}  # noqa: TID251 - the one place that may
    return {"PATH": _PATH, "LANG": "C.UTF-8", **here}
