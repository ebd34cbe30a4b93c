"""The demo's steps, told for programs."""

import json

from roost_cli.demo.stage import Stage


def test_with_json_there_is_one_object_per_step(capsys):
    """Details and pictures are for people only."""
    stage = Stage(as_json=True)
    with stage.step("First"):
        stage.tell("a detail")
        stage.draw("a picture")
    with stage.step("Second"):
        pass
    stage.close()
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line.get("title") for line in lines] == ["First", "Second", None]
    assert lines[0]["step"] == 1
    assert lines[-1]["ok"]
    assert all(line["seconds"] >= 0 for line in lines)
