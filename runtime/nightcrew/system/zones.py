"""Which time zone data this process uses: the system's, or the package's where the system has none."""

import zoneinfo
from importlib import metadata
from pathlib import Path
from typing import Final

_FILES: Final = (("tzdata.zi", "# version "), ("+VERSION", ""), ("version.txt", ""))
"""Where systems keep the version (Debian and others; the BSDs and macOS; some images), and what stands before it."""


def tzdata_version() -> str:
    """The version of the data that zoneinfo reads, such as `2026a`; of a system that does not tell, when it changed.

    It is asked of the first folder that zoneinfo looks into, since that one wins.
    """
    for folder in map(Path, zoneinfo.TZPATH):
        if not (folder / "UTC").exists():
            continue
        for name, before in _FILES:
            version = _first_line(folder / name).removeprefix(before)
            if version:
                return version
        return f"system {int((folder / 'UTC').stat().st_mtime)}"
    return f"package {metadata.version('tzdata')}"


def _first_line(path: Path) -> str:
    try:
        with path.open(encoding="utf-8") as file:
            return file.readline(100).strip()
    except (OSError, UnicodeDecodeError):
        return ""
