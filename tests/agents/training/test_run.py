"""What every training shares."""

import pytest

from agents.training import Run
from agents.training.run import LOCK


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


def test_two_trainings_in_one_folder_are_refused(tmp_path):
    with Run(tmp_path, {}, total=10):
        with pytest.raises(ValueError, match="another training is writing there"), Run(tmp_path, {}, total=10):
            pytest.fail("it came in")
        assert (tmp_path / LOCK).exists()
    assert not (tmp_path / LOCK).exists()
    with Run(tmp_path, {}, total=10) as run:
        run.save({})


def test_the_processes_of_one_training_share_its_folder(tmp_path, monkeypatch):
    with Run(tmp_path, {}, total=10) as run:
        monkeypatch.setenv("RANK", "1")
        with Run(tmp_path, {}, total=10) as other:
            assert other.folder == run.folder


def test_what_a_killed_training_left_is_removed(tmp_path):
    (tmp_path / ".checkpoint.pt.12345678.part").touch()
    with Run(tmp_path, {}, total=10):
        assert [path.name for path in tmp_path.iterdir()] == [LOCK]


@pytest.mark.parametrize("name", ["[red]", "[/bold]", "\x1b[31mred"])
def test_names_of_folders_are_no_markup(name, tmp_path, capsys):
    with Run(tmp_path / name, {}, total=10) as run:
        run.advance(3)
        run.say(f"written to {run.folder}")
    out = "".join(capsys.readouterr().out.split())
    assert name.replace("\x1b", r"\x1b") in out and "\x1b[31m" not in out


@pytest.mark.parametrize("size", [0, 600])
def test_a_full_disk_is_an_error_that_names_the_file(size, tmp_path, full_disk, capsys):
    """Of the curve, of TensorBoard's log, or of the checkpoint, whichever is full first."""

    def train():
        with Run(tmp_path, {}, total=10) as run:
            for step in range(100):
                run.record(step, valid=0.5)
                run.save({"step": step})

    with full_disk(size), pytest.raises(OSError, match="too large") as caught:
        train()
    assert str(caught.value.filename).startswith(str(tmp_path))
    assert "Traceback" not in capsys.readouterr().err
    assert not list(tmp_path.glob(".*"))
