"""Everything that docs/testing.md shows is run as it stands there."""

import re
import subprocess
import sys
from pathlib import Path

GUIDE = Path(__file__).parents[2] / "docs" / "testing.md"


def test_what_the_guide_shows_is_run(tmp_path):
    blocks = re.findall(r"^```python\n(.*?)^```$", GUIDE.read_text(), re.DOTALL | re.MULTILINE)
    files = {"test_agents.py": ""}
    for block in blocks:
        named = re.match(r"# (\w+\.py)\n", block)
        name = named[1] if named else "test_agents.py"
        files[name] = files.get(name, "") + block + "\n"
    assert files.keys() == {"agents.py", "test_agents.py"}
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    command = [sys.executable, "-m", "pytest", "-q", "-o", "asyncio_mode=auto", "-p", "no:cacheprovider"]
    done = subprocess.run(
        [*command, "--import-mode=prepend", tmp_path],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{files['test_agents.py'].count('async def test_')} passed" in done.stdout
