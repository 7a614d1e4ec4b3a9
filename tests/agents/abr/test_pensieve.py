"""Pensieve's network and its training: what it reads, that it learns, that it resumes, what bad input says."""

import json

import gymnasium as gym
import numpy as np
import pytest
import torch
from fresh import python
from safetensors.torch import load_file, save_file

import netenvs  # noqa: F401
from agents import pretrained
from agents.abr import card, pensieve, ppo
from agents.abr.pensieve import Args, Pensieve
from agents.abr.pensieve_net import PensieveNet
from agents.abr.scores import score
from agents.policy import PolicyError, load_policy
from agents.rollout import EpisodeSpec, play
from agents.statistics import mean
from agents.training import CHECKPOINT, CURVE
from agents.training.card import read
from netenvs.abr.workload import load_traces

ABR = "netenvs/ABR-v0"
TINY = {"traces": "synthetic(count=8)", "valid": "synthetic(count=4,seed=1)", "rows": 32, "batches": 4}


@pytest.fixture(autouse=True)
def no_data(tmp_path, monkeypatch):
    """Scores of trained weights on installed splits take time and are tested elsewhere."""
    monkeypatch.setenv("NETENVS_DATA", str(tmp_path / "no-data"))


@pytest.fixture
def random_folder(tmp_path):
    torch.manual_seed(3)
    pretrained.save(PensieveNet(6), tmp_path / "random", "pensieve", {"levels": 6})
    return tmp_path / "random"


def train(folder, **options):
    pensieve.main(Args(out=folder, **{**TINY, **options}))
    return load_file(folder / "model.safetensors")


def test_a_short_training_improves_and_keeps_its_best(tmp_path):
    train(tmp_path / "run", steps=32 * 47 * 16, validate_every=2)
    curve = [json.loads(line) for line in (tmp_path / "run" / CURVE).read_text().splitlines()]
    assert [point["step"] for point in curve] == [32 * 47 * i for i in range(2, 17, 2)]
    values = [point["valid"] for point in curve]
    assert curve[-1]["reward"] > curve[0]["reward"] + 3  # of drawn actions: fewer stalls
    assert max(values) >= 0.3  # of the best: the lowest level alone is worth 0.3
    policy = load_policy(str(tmp_path / "run"), "abr")
    kept = mean(score(policy, "synthetic(count=4,seed=1)", episodes=16, start="random"))
    assert kept == pytest.approx(max(values), abs=1e-6)  # the best weights are the ones written
    (training,) = read(tmp_path / "run").trainings
    assert training.kept == curve[int(np.argmax(values))]["step"] and training.steps == 32 * 47 * 16
    assert training.curve == curve and list(training.scores) == ["synthetic"]
    text = (tmp_path / "run" / "README.md").read_text()
    assert f"{training.scores['synthetic']['pensieve'].mean:.4f}" in text and "python -m agents.abr.pensieve" in text


def test_a_killed_training_resumes_to_the_same_bits(tmp_path, monkeypatch):
    options = {"steps": 32 * 47 * 6, "validate_every": 2, "epochs": 2}
    expected = train(tmp_path / "whole", **options)

    iterate, calls = ppo.Learner.iterate, []

    def killed(self, chosen=None):
        calls.append(1)
        if len(calls) == 4:  # one iteration after a checkpoint
            raise KeyboardInterrupt
        return iterate(self, chosen)

    monkeypatch.setattr(ppo.Learner, "iterate", killed)
    with pytest.raises(KeyboardInterrupt):
        train(tmp_path / "killed", **options)
    monkeypatch.setattr(ppo.Learner, "iterate", iterate)
    torch.manual_seed(99)
    np.random.seed(99)  # noqa: NPY002  (whatever else happened in the process)
    resumed = train(tmp_path / "killed", **options)
    assert all(torch.equal(resumed[name], value) for name, value in expected.items())
    curves = [(tmp_path / name / CURVE).read_text() for name in ("whole", "killed")]
    assert curves[0] == curves[1] and len(curves[0].splitlines()) == 3
    with pytest.raises(ValueError, match="made with another seed; remove it or write to another folder"):
        train(tmp_path / "killed", **options, seed=1)
    (tmp_path / "killed" / CHECKPOINT).write_bytes(b"damaged")
    with pytest.raises(ValueError, match="not a checkpoint of this training; remove it"):
        train(tmp_path / "killed", **options)


def test_rows_of_a_group_play_the_same_trace_from_the_same_place():
    settings = ppo.Settings(steps=1, rows=8, group=4, batches=2)
    learner = ppo.Learner(load_traces("synthetic(count=50)"), None, "quality", settings, seed=5)
    session = learner._env.env.unwrapped.simulator.batch.session
    starts = []
    reset = learner._env.reset

    def seen():
        result = reset()
        starts.append((session["trace"].copy(), session["start"].copy()))
        return result

    learner._env.reset = seen
    learner.iterate()
    learner.iterate(np.array([7, 9]))
    for traces, places in starts:
        assert len({*zip(traces[:4], places[:4], strict=True)}) == len({*zip(traces[4:], places[4:], strict=True)}) == 1
        assert places[0] != places[4]
    assert starts[1][0].tolist() == [7] * 4 + [9] * 4
    assert starts[0][1][0] != starts[1][1][0]


def test_advantages_are_those_over_the_group_in_units_of_its_spread():
    space = gym.spaces.Box(0, 1, (1,)), gym.spaces.Discrete(2)
    buffer = ppo._GroupedAdvantages(3, *space, gae_lambda=1.0, gamma=1.0, n_envs=4, group=2)
    rewards = np.array([[1, 3, 100, 100], [0, 0, 0, -100], [2, 2, 50, 50]]) * ppo.REWARD_SCALE
    for step in rewards:
        buffer.add(np.zeros((4, 1)), np.zeros((4, 1)), step, np.zeros(4), torch.zeros(4), torch.zeros(4))
    buffer.compute_returns_and_advantage(torch.zeros(4), np.ones(4))
    ahead = np.cumsum(rewards[::-1], axis=0)[::-1]
    left = ahead[:, :2] - ahead[:, :2].mean(axis=1, keepdims=True)
    right = ahead[:, 2:] - ahead[:, 2:].mean(axis=1, keepdims=True)
    expected = [part / (np.sqrt(np.mean(part**2)) + ppo.LEAST_SPREAD) for part in (left, right)]
    np.testing.assert_allclose(buffer.advantages, np.concatenate(expected, axis=1), rtol=1e-5, atol=1e-6)


def test_decisions_do_not_depend_on_the_batch(random_folder):
    specs = [EpisodeSpec(seed) for seed in range(5)]
    for mode in ("greedy", "sampled"):
        policy = load_policy(f"{random_folder}(mode={mode})", "abr")
        one, many = (play(policy, ABR, specs, num_envs=count) for count in (1, 5))
        assert all(np.array_equal(a.actions, b.actions) for a, b in zip(one, many, strict=True))


def test_sampled_actions_follow_the_probabilities(random_folder):
    policy = Pensieve(str(random_folder), mode="sampled", fallback="none")
    env = gym.make(ABR, history=8)
    observation, info = env.reset(seed=0)
    expected = policy.probabilities(observation[None])[0]
    assert expected.sum() == pytest.approx(1) and expected.max() - expected.min() > 0.005
    rows = np.arange(20_000)
    policy.reset_rows(rows, rows.tolist())
    infos = {"video": info["video"], "bitrate_kbps": np.full(len(rows), info["bitrate_kbps"]), "row": rows}
    drawn = policy.act_batch(np.repeat(observation[None], len(rows), axis=0), infos)
    assert np.abs(np.bincount(drawn, minlength=6) / len(rows) - expected).max() < 0.015


def test_the_network_reads_every_row_of_the_observation_and_only_the_sizes_of_the_levels():
    torch.manual_seed(0)
    net = PensieveNet(6).double()
    observation = torch.rand(1, 6, 8, dtype=torch.float64, requires_grad=True)
    net(observation)[0, 0].backward()
    seen = observation.grad[0] != 0
    assert seen[2:4].all() and seen[4, :6].all() and seen[[0, 1, 5], -1].all()
    assert not seen[4, 6:].any() and not seen[[0, 1, 5], :-1].any()


def test_jumping_actors_move_one_level(tmp_path):
    net = PensieveNet(6, jump=True)
    torch.nn.init.zeros_(net.head.weight)
    with torch.no_grad():
        net.head.bias.copy_(torch.tensor([0.0, 0.0, 1.0]))
    pretrained.save(net, tmp_path, "pensieve", {"levels": 6, "jump": True})
    (episode,) = play(Pensieve(str(tmp_path)), ABR, [EpisodeSpec(0)])
    assert episode.actions.tolist() == [1, 2, 3, 4] + [5] * 43


def test_another_ladder_is_the_rules_or_refused_in_one_line(random_folder, tmp_path):
    manifest = {"bitrates_kbps": [300, 900], "chunk_sizes_bytes": [[10**5] * 9, [3 * 10**5] * 9], "chunk_duration_s": 4}
    (tmp_path / "two.json").write_text(json.dumps(manifest))
    with pytest.raises(PolicyError, match=r"trained for 6 levels, video .* has 2; train one on it"):
        play(
            Pensieve(str(random_folder), fallback="none"), ABR, [EpisodeSpec(0)], {"video": str(tmp_path / "two.json")}
        )
    with pytest.warns(UserWarning, match=r"trained for 6 levels, video .* has 2: there the rule 'dynamic' plays"):
        play(Pensieve(str(random_folder)), ABR, [EpisodeSpec(0)], {"video": str(tmp_path / "two.json")})


def test_bad_folders_are_one_line(random_folder, tmp_path):
    weights = random_folder / "model.safetensors"
    whole = weights.read_bytes()
    for damaged, message in ((whole[:-100], "no safetensors"), (b"", "no safetensors"), (b"x" * 500, "no safetensors")):
        weights.write_bytes(damaged)
        with pytest.raises(PolicyError, match=message) as caught:
            load_policy(str(random_folder), "abr")
        assert "\n" not in str(caught.value)
    tensors = PensieveNet(6).state_dict()
    save_file({**tensors, "head.bias": torch.full((6,), float("nan"))}, weights)
    with pytest.raises(PolicyError, match="not all weights are finite"):
        load_policy(str(random_folder), "abr")
    save_file({name: value for name, value in tensors.items() if name != "head.bias"}, weights)
    with pytest.raises(PolicyError, match="cannot be used"):
        load_policy(str(random_folder), "abr")
    (random_folder / "config.json").write_text('{"policy": "track", "levels": 6}')
    with pytest.raises(ValueError, match=r"holds weights of 'track', not of 'pensieve'"):
        Pensieve(str(random_folder))
    with pytest.raises(ValueError, match=r"it has no config\.json"):
        Pensieve(str(tmp_path / "nowhere"))
    with pytest.raises(ValueError, match="mode must be greedy or sampled, not 'both'"):
        Pensieve(mode="both")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"steps": 0}, "steps must be positive, not 0"),
        ({"group": 1}, "group must be 2 or more: a row is compared with the others of its group"),
        ({"group": 5}, "group must divide the 32 rows, 5 does not"),
        ({"batches": 7}, "batches must divide the 32 rows, 7 does not"),
        ({"entropy": 0.001}, "entropy must not be below last-entropy"),
        ({"gae_lambda": 1.5}, "gae-lambda must be from 0 to 1, not 1.5"),
        ({"seed": -1}, "seed must be 0 or more, not -1"),
        ({"traces": "fcc-tets"}, "unknown traces 'fcc-tets'; did you mean 'fcc-test'"),
        ({"traces": "fcc-train-clean"}, "netllm-abr"),
    ],
)
def test_bad_arguments_are_one_line(tmp_path, options, message):
    with pytest.raises(ValueError, match=message) as caught:
        train(tmp_path / "run", **options)
    assert "\n" not in str(caught.value) and not (tmp_path / "run").exists()


def test_the_command_line_says_what_is_wrong_in_one_line(tmp_path):
    words = ["-m", "agents.abr.pensieve", "--traces", "synthetic", "--out", str(tmp_path / "run"), "--steps", "0"]
    assert python(*words, folder=tmp_path) == (1, "", "error: steps must be positive, not 0\n")


def test_shipping_is_refused_before_anything_is_written(tmp_path, monkeypatch):
    monkeypatch.setattr(card, "VALIDATION", "synthetic")
    options = {"steps": 32 * 47, "epochs": 1}
    for name, more in {
        "0": {"seed": 0},
        "1": {"seed": 1},
        "again": {"seed": 0},
        "long": {"seed": 2, "epochs": 2},
    }.items():
        train(tmp_path / name, **{**options, **more})

    def ship(*names, **options):
        return pensieve.main(Args(ship=tuple(tmp_path / name for name in names), out=tmp_path / "out", **options))

    with pytest.raises(ValueError, match="again has the seed 0, as another folder has"):
        ship("0", "again")
    with pytest.raises(ValueError, match="long was trained or scored with another epochs; train it alike"):
        ship("0", "long")
    (tmp_path / "1" / "config.json").rename(tmp_path / "config.json")
    training = tmp_path / "1" / "training.json"
    training.write_text(training.read_text().replace('"policy": "pensieve"', '"policy": "udr"'))
    with pytest.raises(ValueError, match="1 is a training of 'udr', not of 'pensieve'"):
        ship("0", "1")
    assert not (tmp_path / "out").exists()
    ship("0")
    assert (tmp_path / "out" / "model.safetensors").read_bytes() == (tmp_path / "0" / "model.safetensors").read_bytes()
