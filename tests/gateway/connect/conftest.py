"""The real clients of Connect and gRPC-Web, and plain HTTP, against a whole runtime."""

import pytest
from tests.gateway.support.connect_calls import WAYS, Calls
from tests.gateway.support.hook_calls import served


@pytest.fixture(params=WAYS)
def calls(request, box):
    """A client of each protocol, in each form."""
    return Calls(box, *request.param)


@pytest.fixture
def connect(box):
    return Calls.plain(box)


@pytest.fixture
async def web(box):
    async with served(box) as client:
        yield client
