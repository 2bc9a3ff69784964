"""Webhooks over kill -9: every 202 has its execution, and each delivery exactly one; and the guide as it is written."""
# ruff: noqa: S105 - the secret is the guide's

import json
import os
import re
import subprocess
from pathlib import Path

from tests.harness.chaos import show
from tests.harness.hooks import TOKEN, storm
from tests.harness.process import NIGHTCREW

GUIDE = Path(__file__).parents[2] / "docs" / "webhooks.md"
SECRET = "It's a Secret to Everybody"


async def test_webhooks_while_the_runtime_is_killed(up, agents):
    crew = up(agents("hooked"), env=TOKEN).start()
    report = await storm(crew, count=800, seconds=5, connections=50, kills=2, seed=7)
    show(report.lines())
    assert report.torn > 0, "a kill that met no sender shows nothing"


def test_the_guide_says_what_happens(up, agents, tmp_path):
    blocks = re.findall(r"^```(\w+)\n(.*?)^```$", GUIDE.read_text(), re.MULTILINE | re.DOTALL)
    code = {kind: text for kind, text in blocks if kind in {"python", "yaml"}}
    (tmp_path / "payments.yaml").write_text(code["yaml"])
    crew = up(agents("deploy", code["python"]), env={"NIGHTCREW_SECRET_GITHUB": SECRET}).start()
    path = f"{Path(NIGHTCREW[0]).parent}:{os.environ['PATH']}"
    env = os.environ | {"PATH": path, "NIGHTCREW_ADDRESS": crew.address}

    def run(text):
        text = text.replace("127.0.0.1:7448", crew.web)
        done = subprocess.run(
            ["bash", "-euc", text], env=env, cwd=tmp_path, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, (text, done.stderr)
        return done.stdout

    answers, sent = [], []
    for number, (kind, text) in enumerate(blocks):
        if kind == "sh":
            said = run(text)
            if number + 1 < len(blocks) and blocks[number + 1][0] == "json":
                answers.append(json.loads(said))
                sent.append(text)
                shown = json.loads(blocks[number + 1][1])
                assert answers[-1] == {**shown, "execution_id": answers[-1]["execution_id"]}
    assert json.loads(run(sent[0])) == answers[0], "sent again, it is the same execution"
    assert 'secrets: ["whsec_new_secret"]' in (tmp_path / "payments.yaml").read_text()
    assert "401" in run(sent[1].replace("curl -s", "curl -s -o /dev/null -w '%{http_code}'"))
    new = sent[1].replace("whsec_test_secret", "whsec_new_secret")
    assert json.loads(run(new)) == answers[1], "signed with the new secret, evt_1 is still known"
    for words in (["get", "payments"], ["get", "payments", "--output", "yaml"], ["list", "--output", "json"]):
        shown = crew.cli("agents", *words)
        assert "payments" in shown.stdout, shown.stderr
        assert "whsec" not in shown.stdout
    assert "POST /hooks/payments/stripe  stripe" in crew.cli("agents", "get", "payments").stdout
    crew.stop()
    for file in crew.data.rglob("*"):
        assert file.is_dir() or b"whsec_" not in file.read_bytes(), file
