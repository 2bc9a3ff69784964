"""An agent that the outside world wakes: by GitHub, by Standard Webhooks, and by whoever has its token."""

from nightcrew.agent import agent, on_webhook


@agent(
    triggers=[
        on_webhook("github", secrets="github's", id="github"),
        on_webhook("standard", secrets="whsec_c3RhbmRhcmQ=", id="standard"),
        on_webhook("bearer", secrets="${secret:HOOKED}", id="bearer"),
    ],
)
async def hooked(input: dict):
    return input["webhook"]["body"]["delivery"]
