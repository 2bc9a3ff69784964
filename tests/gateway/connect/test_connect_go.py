"""connect-go, through `buf curl`: another implementation's client, over Connect and gRPC-Web."""

import asyncio
import json
import sys
from pathlib import Path

import pytest
from tests.gateway.support.connect_calls import path_of
from tests.gateway.support.gateway_box import until

BUF = Path(sys.executable).parent / "buf"
PROTO = Path(__file__).parents[3] / "proto"

pytestmark = pytest.mark.skipif(not BUF.exists(), reason="the package buf-bin is not installed")


class Curl:
    """One call under way."""

    def __init__(self, process):
        self.process = process

    @classmethod
    async def of(cls, box, protocol, name, **fields):
        url = f"http://{box.runtime.web.address}{path_of(name)}"
        options = ["--schema", str(PROTO), "--protocol", protocol, "--data", json.dumps(fields)]
        return cls(
            await asyncio.create_subprocess_exec(
                str(BUF),
                "curl",
                *options,
                url,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
            )
        )

    async def ended(self, code=0):
        out, err = await asyncio.wait_for(self.process.communicate(), 40)
        assert self.process.returncode == code, (self.process.returncode, out, err)
        return (err if code else out).decode()


@pytest.mark.parametrize("protocol", ["connect", "grpcweb"])
async def test_calls_refusals_and_watches(box, protocol):
    await box.active("h", "hold")
    run = await box.trigger("h")
    call, bad, watch = await asyncio.gather(
        Curl.of(box, protocol, "GetAgent", id="h"),
        Curl.of(box, protocol, "GetAgent", id="nobody"),
        Curl.of(box, protocol, "WatchExecution", id=run.id, include_snapshot=True),
    )
    assert json.loads(await call.ended())["agent"]["id"] == "h"
    refusal = json.loads(await bad.ended(code=5 << 3))
    assert (refusal["code"], refusal["message"]) == ("not_found", "agent 'nobody' does not exist")
    assert [one["type"] for one in refusal["details"]] == ["google.rpc.ErrorInfo", "google.rpc.ResourceInfo"]
    signal = box.runtime.services.watch._feed.signal
    await until(lambda: signal._waiters, what="it watches")
    box.gate("h").set()
    assert '"nightcrew.execution.succeeded"' in await watch.ended()
