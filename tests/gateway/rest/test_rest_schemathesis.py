"""What OpenAPI says is what is served: schemathesis makes calls out of it, right ones and wrong ones."""

import asyncio
import json
import sys
from pathlib import Path

from nightcrew.gateway.web.rest.openapi import components, paths

SCHEMATHESIS = Path(sys.executable).with_name("schemathesis")


async def run(rest, folder, *flags):
    said = {"openapi": "3.1.0", "info": {"title": "REST", "version": "1"}, "paths": paths()}
    schema = folder / "openapi.json"
    schema.write_text(json.dumps({**said, "components": {"schemas": components()}}))
    process = await asyncio.create_subprocess_exec(
        SCHEMATHESIS,
        "run",
        *(str(schema), "--url", str(rest.client.base_url)),
        # What the schema allows may still be refused: a flow that is not there, hours that never come.
        *("--checks", "all", "--exclude-checks", "positive_data_acceptance"),
        *("--seed", "4", "--generation-database", "none", "--no-color", "--workers", "1"),
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
