"""What the tests of durable work share: sending signals, reading journals."""

import pytest

from nightcrew.domain.page import ListQuery
from nightcrew.services.once import Request

BY_TEST = Request(method="test")


@pytest.fixture
def signal():
    async def send(box, execution, name, payload=None):
        await box.services.steps.signal(execution.id, name, payload, request=BY_TEST)
        await box.settle()

    return send


@pytest.fixture
def journal():
    async def read(box, execution):
        page = await box.services.steps.page(execution.id, ListQuery(page_size=1000))
        return page.items

    return read
