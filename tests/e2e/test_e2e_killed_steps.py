"""An execution of 200 steps over four kills -9: a step that was acknowledged never runs again, and the result is right.

The soak has 1,000 steps and twenty kills of it.
"""

import pytest
from tests.harness.killed_steps import AGENTS, killed_at_random_steps


@pytest.mark.parametrize(("agent", "abreast"), [("inline", 1), ("pooled", 8)])
async def test_killed_at_random_steps(up, tmp_path, agent, abreast):
    folder = tmp_path / "agents"
    folder.mkdir()
    (folder / "stepwise.py").write_text(AGENTS)
    crew = up(folder / "stepwise.py").start()
    killed = await killed_at_random_steps(
        crew, tmp_path, agent=agent, steps=200, kills=4, abreast=abreast, seed=5
    )
    assert list(killed.faults()) == []
    assert len(killed.kills[-1].journaled) > 50  # kills came in the midst of the steps, and were seen to
    assert crew.stop() == 0
