"""The command ``python -m benchmarks.ablation``, on a tiny grid of generated traces."""

import json

import numpy as np
import pytest
import torch

from benchmarks.ablation import cells as ablation_cells
from benchmarks.ablation import command as ablation
from benchmarks.ablation import figures as ablation_figures
from benchmarks.ablation.cells import Gathering, Imitation, Material, Noisy, Objective, Student, Training
from benchmarks.ablation.sections import SCALES, SECTIONS

MATERIAL = Material(sessions=3, held_out=2, traces=2, played=2, chosen=2)
TRAINING = Training(steps=2, batch=2, every=1)


@pytest.fixture(autouse=True)
def _generated(short_video, tmp_path, monkeypatch):
    """No data set is installed, and videos are short."""
    monkeypatch.setenv("NETENVS_DATA", str(tmp_path / "none"))
    tests = {name: (traces, short_video) for name, (traces, _) in ablation_cells.tests().items()}
    monkeypatch.setattr(ablation_cells, "tests", lambda: tests)
    monkeypatch.setattr(ablation_cells.bitrates, "_known", lambda: short_video)


@pytest.fixture
def command(tmp_path, capsys):
    """Run the command in ``tmp_path``/out; (status, standard output, standard error)."""

    def call(*words):
        status = ablation.main([*words, "--jobs", "1", "--out", str(tmp_path / "out")])
        text = capsys.readouterr()
        return status, text.out, text.err

    return call


def test_grid_is_run_once_and_reported(command, tmp_path):
    status, out, _ = command("--scale", "tiny", "--only", "on-policy,noise")
    assert status == 0
    folder = tmp_path / "out"
    results = json.loads((folder / "ablation.json").read_text())
    assert list(results["sections"]) == ["on-policy", "noise"]
    rows = results["sections"]["on-policy"]["rows"]
    assert next(iter(rows)).startswith("offline") and "test, minus offline" in rows["on-policy; labels: teacher"]
    assert len(list((folder / "cells").iterdir())) == results["cells"]
    assert all((folder / f"{name}.png").stat().st_size > 10_000 for name in results["sections"])
    assert "## noise" in (folder / "ablation.md").read_text() and "| offline; labels: teacher |" in out

    before = {path: path.read_bytes() for path in folder.iterdir() if path.is_file()}
    assert command("--scale", "tiny", "--only", "on-policy,noise")[0] == 0
    assert {path: path.read_bytes() for path in folder.iterdir() if path.is_file()} == before
    assert "[1/" not in command("--scale", "tiny", "--only", "noise")[1]


def test_stopped_grid_goes_on_to_the_same_results(tmp_path, monkeypatch):
    cells = [Imitation(Student(seed), TRAINING, qoe_every=2) for seed in (0, 1)]
    cells.append(Gathering(0, "mixed", Objective(), TRAINING, rounds=2, first=1, sessions=2))
    whole, stopped = ablation.Grid(tmp_path / "a", MATERIAL), ablation.Grid(tmp_path / "b", MATERIAL)
    whole.run(cells)

    write, written = ablation.write_atomically, []

    def killed(path, content):
        if len(written) == 1:
            raise KeyboardInterrupt
        written.append(path)
        write(path, content)

    monkeypatch.setattr(ablation, "write_atomically", killed)
    with pytest.raises(KeyboardInterrupt):
        stopped.run(cells)
    monkeypatch.setattr(ablation, "write_atomically", write)
    kept = written[0].stat().st_mtime_ns
    stopped.run(cells)
    assert written[0].stat().st_mtime_ns == kept  # not run again
    for cell in cells:
        assert stopped.path(cell).name == whole.path(cell).name
        assert json.dumps(stopped.find(cell)["found"]) == json.dumps(whole.find(cell)["found"])


def test_changed_setting_is_another_cell(tmp_path):
    cell = Imitation(Student(0), TRAINING)
    grid = ablation.Grid(tmp_path, MATERIAL)
    others = [Imitation(Student(1), TRAINING), Imitation(Student(0), TRAINING, Objective(expert=0.5))]
    paths = {grid.path(cell), *map(grid.path, others)}
    paths.add(ablation.Grid(tmp_path, Material(4, 2, 2, 2, 2)).path(cell))
    assert len(paths) == 4


def test_sections_share_cells():
    scale = SCALES["small"]
    shared = {name: {cell for arm in SECTIONS[name](scale).arms().values() for cell in arm} for name in SECTIONS}
    assert len(shared["teacher"] & shared["transformer"]) == 5
    assert len(shared["teacher"] & shared["rank"]) == 3


def test_arms_begin_with_the_same_weights(tmp_path):
    data = MATERIAL.held(tmp_path)
    one, same, other = (Student(seed).build(data)[0].state_dict() for seed in (0, 0, 1))
    assert all(torch.equal(one[name], same[name]) for name in one)
    assert not torch.equal(
        one["backbone.layers.0.mixer.in_proj.weight"], other["backbone.layers.0.mixer.in_proj.weight"]
    )


def test_backbone_only_keeps_random_encoders_and_heads(tmp_path):
    data = MATERIAL.held(tmp_path)
    random, whole, part = (
        student.build(data)[0].state_dict()
        for student in (Student(0), Student(0, "principled"), Student(0, "principled", True))
    )
    for name, weight in part.items():
        assert torch.equal(weight, (whole if name.startswith("backbone.") else random)[name]), name
    assert any(not torch.equal(whole[name], random[name]) for name in whole if name.startswith("task."))
    assert not torch.equal(part["backbone.norm_f.weight"], random["backbone.norm_f.weight"])


def test_transformer_has_as_many_weights():
    config = ablation_cells.PRESETS[ablation_cells.SIZE]
    counts = [
        sum(value.numel() for value in backbone.parameters())
        for backbone in (ablation_cells.HybridBackbone(config), ablation_cells.same_size_llama(config))
    ]
    assert counts[1] == pytest.approx(counts[0], rel=0.03)


@pytest.mark.parametrize(
    ("who", "plays"),
    [
        ("offline", [False] * 5),
        ("on-policy", [False, False, True, True, True]),
        ("mixed", [False, False, True, False, True]),
    ],
)
def test_who_plays(who, plays):
    cell = Gathering(0, who, Objective(), TRAINING, rounds=5, first=2, sessions=2)
    assert [cell.student_plays(number) for number in range(5)] == plays


def test_noise_is_of_chunks_and_of_measurements_alone():
    class Seen:
        def reset_rows(self, rows, seeds):
            pass

        def act_batch(self, observations, infos):
            self.observations = observations
            return np.zeros(len(observations), dtype=np.int64)

    inner, clean = Seen(), np.arange(1, 37, dtype=np.float32).reshape(1, 6, 6)
    noisy = Noisy(inner, 0.5, seed=3)
    noisy.reset_rows(np.array([0]), [7])
    infos = {"row": np.array([0]), "chunk": np.array([6])}
    noisy.act_batch(clean, infos)
    first = inner.observations / clean
    assert np.allclose(first[0, 3] * first[0, 2], 1) and not np.allclose(first[0, 3], 1)
    assert np.array_equal(inner.observations[:, [0, 1, 4, 5]], clean[:, [0, 1, 4, 5]])
    noisy.act_batch(clean, {**infos, "chunk": np.array([7])})
    second = inner.observations / clean
    assert np.allclose(second[0, 3, :5], first[0, 3, 1:])  # a column to the left: the same chunk
    Noisy.act_batch(noisy, clean, infos)
    silent = Noisy(inner, 0.0, seed=3)
    silent.reset_rows(np.array([0]), [7])
    silent.act_batch(clean, infos)
    assert np.array_equal(inner.observations, clean)


def test_level_is_reached_between_points():
    steps, falls = [0, 10, 20, 30], [1.0, 0.6, 0.2, 0.4]
    assert ablation_figures.reached(steps, falls, 0.4) == pytest.approx(15)
    assert ablation_figures.reached(steps, falls, 1.5) == 0
    assert ablation_figures.reached(steps, falls, 0.1) is None
    assert ablation_figures.reached(steps, [-40, 0.5, 0.9, 0.8], 0.7, falling=False) == pytest.approx(15)


def test_runs_that_do_not_get_there_count_with_their_budget():
    curves = [([0, 10, 20], [1.0, 0.5, 0.1]), ([3, 18, 33], [1.0, 0.9, 0.8])]
    values, censored = ablation_figures.to_level(curves, 0.3)
    assert values == pytest.approx([15, 33]) and censored == 1
    found = ablation_figures.figure(values, censored)
    assert found["mean"] == 24 and found["censored"] == 1


def test_levels_areas_and_percent():
    curves = [([0, 10, 20], [1.0, 0.5, 0.1]), ([0, 10, 20], [2.0, 1.5, 0.3])]
    assert ablation_figures.level_at(curves, 0.5) == pytest.approx(1.0)
    assert ablation_figures.level_at(curves, 0.75) == pytest.approx((0.3 + 0.9) / 2)
    assert ablation_figures.area([0, 10, 20], [1.0, 0.5, 0.1]) == pytest.approx((7.5 + 3) / 20)
    found = ablation_figures.percent([90, 81], [100, 90])
    assert found["mean"] == pytest.approx(-10) and found["ci95"] == pytest.approx((-10, -10))


def test_interval_draws_seeds_and_traces():
    rng = np.random.default_rng(0)
    base = rng.normal(size=(5, 200))
    apart = rng.normal(0.3, 0.1, size=(5, 1)) * np.ones((1, 200))  # seeds differ, traces do not
    found = ablation_figures.crossed(base + apart, base)
    assert found["mean"] == pytest.approx(apart.mean()) and found["values"] == pytest.approx(apart[:, 0].tolist())
    low, high = found["ci95"]
    spread = apart[:, 0].std() / np.sqrt(5)
    assert high - low == pytest.approx(2 * 1.96 * spread, rel=0.3)
    traces = ablation_figures.crossed(base[:, :100] * 0 + base[:1, :100], np.zeros((5, 100)))  # and the other way round
    assert traces["ci95"][1] - traces["ci95"][0] == pytest.approx(2 * 1.96 * base[0, :100].std() / 10, rel=0.15)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--only", "teacher,cwt"), "error: --only: "),
        (("--scale", "huge"), "error: --scale: "),
        (("--seeds", "0"), "'0' is not a whole number from 1 up"),
    ],
)
def test_wrong_options_are_one_line(command, words, said):
    status, _, err = command(*words)
    assert status == 2 and said in err and err.count("\n") == 1


def test_result_that_is_none_is_named(tmp_path):
    grid, cell = ablation.Grid(tmp_path, MATERIAL), Imitation(Student(0), TRAINING)
    grid.path(cell).parent.mkdir()
    grid.path(cell).write_text("{}")
    with pytest.raises(ValueError, match="not the result of a cell; remove it"):
        grid.find(cell)


@pytest.mark.slow
def test_whole_tiny_grid(command):
    assert command("--scale", "tiny")[0] == 0
