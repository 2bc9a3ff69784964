"""What OpenAPI says is what is served: schemathesis makes calls out of it, right ones and wrong ones."""

import asyncio
import sys
from pathlib import Path

import pytest

SCHEMATHESIS = Path(sys.executable).with_name("schemathesis")


async def run(rest, folder, *flags, seed=4):
    process = await asyncio.create_subprocess_exec(
        SCHEMATHESIS,
        "run",
        str(rest.client.base_url.join("/api/openapi.json")),
        # What the schema allows may still be refused: a flow that is not there, hours that never come.
        *("--checks", "all", "--exclude-checks", "positive_data_acceptance"),
        *("--seed", str(seed), "--generation-database", "none", "--no-color", "--workers", "1"),
        *flags,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        stdin=asyncio.subprocess.DEVNULL,
        cwd=folder,  # it leaves files where it runs
    )
    printed, _ = await process.communicate()
    return process.returncode, printed.decode()


async def test_what_is_served_is_what_openapi_says(rest, tmp_path):
    await rest.active()
    code, said = await run(rest, tmp_path, "--max-examples", "10")
    assert code == 0, said


@pytest.mark.soak
@pytest.mark.parametrize("seed", [1, 2, 3])
async def test_many_more_calls(rest, tmp_path, seed):
    await rest.active()
    code, said = await run(rest, tmp_path, "--max-examples", "150", seed=seed)
    assert code == 0, said
