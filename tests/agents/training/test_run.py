"""What every training shares."""

import pytest

from agents.training import Run


def test_a_refused_checkpoint_shows_no_progress(tmp_path, capsys):
    with Run(tmp_path, {"seed": 0}, total=10) as run:
        run.advance(5)
        run.save({})
    assert "5/10 steps" in " ".join(capsys.readouterr().out.split())
    with (
        pytest.raises(ValueError, match=r"checkpoint.pt: made with another seed"),
        Run(tmp_path, {"seed": 1}, 10) as run,
    ):
        run.resume()
    assert capsys.readouterr().out == ""


def test_what_is_said_before_the_first_step(tmp_path, capsys):
    with Run(tmp_path, {}, total=10) as run:
        run.say("installing nothing")
    assert capsys.readouterr().out == "installing nothing\n"


def test_a_training_goes_on(tmp_path, capsys):
    with Run(tmp_path, {}, total=10) as run:
        run.advance(5)
        run.save({"weights": 3})
    capsys.readouterr()
    with Run(tmp_path, {}, total=10) as run:
        assert run.resume() == {"weights": 3}
    out = capsys.readouterr().out
    assert "continuing at 5 of 10 steps" in out and "5/10 steps" in " ".join(out.split())
