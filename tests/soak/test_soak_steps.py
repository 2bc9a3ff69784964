"""An execution of 1,000 steps over twenty kills -9, inline and in workers, one step after another and abreast."""

import pytest
from tests.harness.killed_steps import AGENTS, killed_at_random_steps


@pytest.mark.parametrize(
    ("agent", "abreast"),
    [("inline", 1), ("inline", 10), ("pooled", 1), ("pooled", 10), ("plain", 1)],
)
async def test_twenty_kills_in_a_thousand_steps(up, tmp_path, figures, agent, abreast):
    folder = tmp_path / "agents"
    folder.mkdir()
    (folder / "stepwise.py").write_text(AGENTS)
    crew = up(folder / "stepwise.py").start()
    killed = await killed_at_random_steps(
        crew, tmp_path, agent=agent, steps=1000, kills=20, abreast=abreast, seed=11
    )
    assert list(killed.faults()) == []
    again = len(killed.entered) - killed.steps
    figures([f"{killed.steps} steps, {len(killed.kills)} kills: {again} that were under way ran again"])
    assert crew.stop() == 0
