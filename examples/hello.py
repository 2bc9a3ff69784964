"""An agent that runs when somebody asks: `nightcrew agents trigger hello --input '{"name": "Ada"}' --wait 5s`."""

from nightcrew.agent import agent


@agent
async def hello(name: str = "world") -> dict[str, str]:
    """Greets somebody."""
    # The input's keys are the arguments; what is returned is kept as the execution's result.
    return {"text": f"Hello, {name}!"}
