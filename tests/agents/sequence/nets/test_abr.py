"""The encoders and heads of bitrate adaptation: what they are told, in which units, and for which ladders."""

import gymnasium as gym
import numpy as np
import pytest
import torch
from toy_sequence import GRUBackbone

from agents.sequence.model import SequenceModel, Sequences
from agents.sequence.net import MASKED
from agents.sequence.nets.abr import AHEAD, HISTORY, ABRNet, inputs_of
from agents.sequence.policy import SequencePolicy
from netenvs.abr.qoe import make_qoe
from netenvs.abr.workload import Video

LADDER = (300, 750, 1200, 1850, 2850, 4300)
STATE = {"throughput", "time", "bitrates", "utility", "penalty", "sizes", "duration", "left", "buffer", "stall"}


def sessions(decisions, rows=4, video="generated(seed=1)", seed=0, net=None, **options):
    """(observations, infos, actions, rewards so far, steps) of each of so many decisions, levels drawn."""
    net = net or ABRNet(16, width=8)
    env = gym.make_vec("netenvs/ABR-v0", num_envs=rows, autoreset_mode="disabled", video=video, **options)
    rng, collected = np.random.default_rng(seed), np.zeros(rows)
    observations, infos = env.reset(seed=seed)
    found = []
    for _ in range(decisions):
        infos = {**infos, **env.unwrapped.shared_info, "row": np.arange(rows)}
        actions = rng.integers(0, env.unwrapped.video.num_levels, rows)
        found.append((observations, infos, actions, collected.copy(), net.observe(observations, infos)))
        observations, rewards, _, _, infos = env.step(actions)
        collected += rewards
    return found


def a_step(ladder=LADDER, levels=6, **columns):
    """Columns of one step after six downloads of 4 s at 1.5 Mbit/s, at level 1 of a video of constant bitrate."""
    video = Video("made", 4.0, 48, np.array(ladder, dtype=np.int32), np.tile(np.array(ladder) * 500, (49, 1)))
    observation = np.zeros((1, 6, 6), dtype=np.float32)
    observation[:, 2], observation[:, 3] = 1.5 / 8, 0.4
    infos = {"chunk": 8, "buffer_s": 12.0, "rebuffer_s": 0.5, "sleep_ms": 0.0, "bitrate_kbps": ladder[1]}
    infos = {name: np.array([value]) for name, value in infos.items()}
    shared = {"video": video, "qoe": make_qoe("lin", video.bitrates_kbps, 4.3)}
    return {**ABRNet(16, levels=levels, width=8).observe(observation, {**infos, **shared}), **columns}


def tokens(net, steps, previous=None, returns=None):
    rows = len(steps["buffer"])
    found = net.embed(steps, np.full(rows, -1) if previous is None else previous, returns)
    return found.embeddings.detach().view(rows, -1, net.d_model), found


# --- what is observed ---


def test_steps_tell_the_session_in_units():
    played = sessions(47)
    for decision, (_, infos, _, _, steps) in enumerate(played):
        video = infos["video"]
        ladder = video.bitrates_kbps / 1000
        assert steps["bitrates"][:, :6] == pytest.approx(np.tile(ladder, (4, 1))), "Mbit/s"
        assert steps["utility"][0, :6] == pytest.approx(infos["qoe"].utility)
        assert not steps["bitrates"][:, 6:].any() and not steps["sizes"][:, :, 6:].any()
        assert steps["penalty"].tolist() == pytest.approx([4.3] * 4)
        assert steps["duration"].tolist() == [video.chunk_duration_s] * 4
        assert steps["left"].tolist() == [47 - decision] * 4 and steps["chunks"].tolist() == [48] * 4
        ahead = min(AHEAD, 47 - decision)
        expected = video.chunk_sizes[decision + 1 : decision + 1 + ahead] * 8 / 1e6
        assert steps["sizes"][2, :ahead, :6] == pytest.approx(expected), "Mbit"
        assert not steps["sizes"][:, ahead:].any()
        assert steps["buffer"] == pytest.approx(infos["buffer_s"])
        assert steps["stall"] == pytest.approx(infos["rebuffer_s"])
        assert steps["pause"] == pytest.approx(infos["sleep_ms"] / 1000)
        for ago in range(min(HISTORY, decision + 1)):
            before = played[decision - ago][1]
            assert steps["throughput"][:, -1 - ago] == pytest.approx(before["throughput_mbps"], rel=1e-5)
            assert steps["time"][:, -1 - ago] == pytest.approx(before["delay_ms"] / 1000, rel=1e-5)
        assert not steps["throughput"][:, : max(HISTORY - decision - 1, 0)].any()
        assert steps["last"].tolist() == (played[decision - 1][2].tolist() if decision else [0] * 4)


def test_longer_and_shorter_histories_end_the_same():
    six, twelve = (sessions(9, history=history)[-1][4] for history in (6, 12))
    assert all(np.array_equal(six[name], twelve[name]) for name in six)
    two = sessions(9, history=2, video="generated(seed=1,levels=2)")[-1][4]
    assert two["throughput"].shape == (4, 6) and np.count_nonzero(two["throughput"][0]) == 2
    assert two["throughput"][:, -1].all()


def test_a_longer_ladder_than_the_network_has_is_refused():
    with pytest.raises(ValueError, match=r"serves up to 5 levels, video 'generated\(seed=1\)' has 6"):
        sessions(1, net=ABRNet(16, levels=5))


def test_rewards_collected_are_those_of_the_environment():
    net, before = ABRNet(16, returns=True, width=8), np.full(4, np.nan)
    for observations, infos, _, collected, _ in sessions(47, traces="genet", qoe="log"):
        before = net.collected(observations, infos, before)
        assert before == pytest.approx(collected, abs=1e-6)
    assert np.ptp(before) > 1


def test_utilities_by_chunk_are_those_of_the_next_chunk_and_collected():
    vmaf = np.random.default_rng(0).uniform(0, 100, (48, 6))
    net, before = ABRNet(16, returns=True, width=8), np.full(4, np.nan)
    options = {"qoe": vmaf, "rebuffer_penalty": 50, "switch_penalty": 0.25}
    for decision, (observations, infos, _, collected, steps) in enumerate(sessions(47, **options)):
        before = net.collected(observations, infos, before)
        assert before == pytest.approx(collected, rel=1e-6, abs=1e-4)
        assert steps["utility"][:, :6] == pytest.approx(np.tile(vmaf[decision + 1], (4, 1)))


# --- what the network gets ---


def test_inputs_are_predictions_in_seconds():
    inputs = inputs_of(a_step())
    sizes = np.array(LADDER) / 1000 * 4  # Mbit
    assert inputs.levels[0, :, 3] == pytest.approx(np.log(sizes / 1.5), abs=1e-5), "time that the next chunk takes"
    assert inputs.levels[0, :, 5] == pytest.approx(np.tanh((12 - sizes / 1.5) / 4), abs=1e-5), "buffer then"
    assert inputs.levels[0, :, 8] == pytest.approx(np.tanh((12 + 4 * 4 - 5 * sizes / 1.5) / 15), abs=1e-5)
    assert inputs.levels[0, :, 9].tolist() == [0, 1, 0, 0, 0, 0] and inputs.last.tolist() == [1]
    assert inputs.levels[0, :, 11] == pytest.approx(np.abs(np.array(LADDER) - 750) / 2000, abs=1e-5), "switch"
    assert inputs.levels[0, :, 15:] == pytest.approx(0, abs=1e-5), "constant bitrate"
    assert inputs.session[0, 10] == pytest.approx(np.log(1.5)) and inputs.session[0, 13] == pytest.approx(np.log(1.5))


def test_the_mean_throughput_is_harmonic_over_what_was_seen():
    throughput = np.array([[0, 0, 4.0, 1.0, 2.0, 2.0]], dtype=np.float32)
    inputs = inputs_of(a_step(throughput=throughput))
    assert inputs.session[0, 10] == pytest.approx(np.log(4 / 2.25))
    assert inputs.session[0, 11] == pytest.approx(np.log(3 / 2.0)), "of the last three"
    assert inputs.session[0, 12] == pytest.approx(0.0), "the lowest"
    assert inputs.session[0, 13] == pytest.approx(np.log(16) / 4)
    assert inputs.session[0, 16:18].tolist() == [0, 0] and inputs.session[0, 28:34].tolist() == [0, 0, 1, 1, 1, 1]


def test_inputs_stay_finite_and_small_whatever_comes():
    first = sessions(1)[0][4]
    nothing = a_step(throughput=np.zeros((1, 6), np.float32), time=np.zeros((1, 6), np.float32), left=np.zeros(1))
    nothing["sizes"] = np.zeros_like(nothing["sizes"])
    huge = a_step(throughput=np.full((1, 6), 1e6, np.float32), buffer=np.array([1e5]), stall=np.array([1e9]))
    for steps in (first, nothing, huge):
        inputs = inputs_of(steps)
        for values in (inputs.session, inputs.levels):
            assert values.dtype == np.float32 and np.isfinite(values).all() and np.abs(values).max() <= 5


@pytest.mark.parametrize("tokenisation", ["fused", "netllm"])
def test_every_column_of_the_state_is_read(tokenisation):
    net = ABRNet(16, tokenisation, levels=6, width=8)
    before, _ = tokens(net, a_step())
    unread = set() if tokenisation == "fused" else {"utility", "penalty", "duration", "stall"}
    for name in STATE:
        changed = a_step()
        changed[name] = changed[name] * np.float32(1.3)
        if name == "bitrates":
            changed[name][:, 2:] = a_step()[name][:, 2:]  # the highest, which others are compared with, stays
        after, _ = tokens(net, changed)
        assert torch.equal(before, after) == (name in unread), name
    after, _ = tokens(net, a_step(last=np.array([3])))
    assert not torch.equal(before, after)


# --- tokens and scores ---


def test_fused_is_one_token_a_step_whatever_was_done_before():
    net = ABRNet(16, width=8)
    steps = sessions(1)[0][4]
    found, whole = tokens(net, steps)
    assert found.shape == (4, 1, 16) and whole.counts.tolist() == [1, 1, 1, 1]
    assert torch.equal(found, tokens(net, steps, previous=np.array([0, 1, 2, 3]))[0])


def test_netllm_has_a_token_for_each_modality():
    net = ABRNet(16, "netllm", returns=True, levels=6, width=8)
    to_go = torch.tensor([0.5])
    before, whole = tokens(net, a_step(), returns=to_go)
    assert before.shape == (1, 8, 16) and whole.counts.tolist() == [8]
    changes = [("bitrates", 2), ("buffer", 3), ("throughput", 4), ("time", 5), ("sizes", 6), ("left", 7)]
    for name, token in changes:
        steps = a_step()
        steps[name] = steps[name].copy()
        steps[name][..., 1 if name == "bitrates" else -1] *= np.float32(0.5)
        after, _ = tokens(net, steps, returns=to_go)
        different = (after != before).any(dim=2)[0].nonzero()[:, 0].tolist()
        assert different == [token], name
    for token, after in enumerate(
        [tokens(net, a_step(), np.array([2]), to_go)[0], tokens(net, a_step(), None, to_go + 1)[0]]
    ):
        assert (after != before).any(dim=2)[0].nonzero()[:, 0].tolist() == [token]
    assert tokens(ABRNet(16, "netllm", levels=6, width=8), a_step())[0].shape == (1, 7, 16)


def test_netllm_encodes_the_scales_of_the_observation():
    net = ABRNet(16, "netllm", levels=6, width=8)
    found, _ = tokens(net, a_step(), np.array([1]))
    with torch.no_grad():
        expected = [
            net.action(torch.tensor([[2 / 6]])),
            net.bitrate(torch.tensor([[750 / 4300]])),
            net.buffer(torch.tensor([[1.2]])),
            net.throughput(torch.full((1, 6), 1.5 / 8)),
            net.time(torch.full((1, 6), 0.4)),
            net.sizes(torch.tensor([LADDER]) * 500 / 1e6),
            net.left(torch.tensor([[40 / 48]])),
        ]
    torch.testing.assert_close(found[0], torch.cat(expected))


def test_the_return_to_go_is_part_of_a_fused_token():
    net, steps = ABRNet(16, returns=True, width=8), a_step(levels=10)
    found = [tokens(net, steps, returns=torch.tensor([value]))[0] for value in (0.0, 1.0)]
    assert not torch.equal(*found)


@pytest.mark.parametrize("ladder", [(500, 2000), LADDER, tuple(range(300, 3300, 300))])
def test_ladders_of_any_length_and_their_padding(ladder):
    short, long = ABRNet(16, levels=len(ladder), width=8), ABRNet(16, levels=12, width=8)
    long.load_state_dict(short.state_dict())
    hidden, chosen = torch.randn(1, 16, generator=torch.Generator().manual_seed(0)), torch.zeros(1, 1)
    scores = []
    for net in (short, long):
        embedded, found = tokens(net, a_step(ladder, levels=net.levels))
        scores.append((embedded, net.logits(0, hidden, found.memory, chosen)))
    torch.testing.assert_close(scores[0][0], scores[1][0])
    torch.testing.assert_close(scores[0][1], scores[1][1][:, : len(ladder)])
    assert (scores[1][1][:, len(ladder) :] == MASKED).all() and scores[1][1].shape == (1, 12)


@pytest.mark.parametrize("tokenisation", ["fused", "netllm"])
def test_levels_that_are_not_there_are_never_chosen(tokenisation):
    net = ABRNet(16, tokenisation, width=8)
    _, found = tokens(net, a_step((400, 900, 3000), levels=10))
    logits = net.logits(0, torch.randn(1, 16), found.memory, torch.zeros(1, 1))
    assert logits.shape == (1, 10) and (logits[:, 3:] == MASKED).all() and (logits[:, :3] > MASKED / 2).all()


def test_a_level_is_scored_by_what_it_is_by_the_token_and_in_time_by_the_hidden_state():
    torch.manual_seed(0)
    net, hidden = ABRNet(16, width=8), torch.randn(2, 16)
    _, found = tokens(net, a_step(levels=10))

    def scores(row, token=found.memory.token):
        levels = net.logits(0, hidden[row : row + 1], found.memory._replace(token=token), torch.zeros(1, 1))[0, :6]
        return levels - levels.mean()

    assert len(scores(0).unique()) == 6
    assert torch.equal(scores(0), scores(1)), "it has to be learned what the hidden state says"
    assert not torch.allclose(scores(0), scores(0, token=found.memory.token + 1), atol=1e-4)
    torch.nn.init.normal_(net.from_hidden.weight)
    assert not torch.allclose(scores(0), scores(1), atol=1e-4)


def test_the_configuration_makes_the_same_network():
    net = ABRNet(16, "netllm", True, levels=7, width=8)
    again = ABRNet(16, **net.config())
    again.load_state_dict(net.state_dict())
    assert again.config() == {"tokenisation": "netllm", "returns": True, "levels": 7, "width": 8}


@pytest.mark.parametrize("sizes", [{"levels": 1}, {"width": 0}])
def test_impossible_sizes(sizes):
    with pytest.raises(ValueError, match="levels must be 2 or more and width 1 or more"):
        ABRNet(16, **sizes)


@pytest.mark.parametrize(("tokenisation", "returns"), [("fused", False), ("netllm", True)])
def test_play_equals_the_parallel_forward(tokenisation, returns):
    torch.manual_seed(0)
    net = ABRNet(16, tokenisation, returns, levels=6, width=8)
    if tokenisation == "fused":
        torch.nn.init.normal_(net.from_hidden.weight, std=0.3)
    model = SequenceModel(net, GRUBackbone(16), timesteps=50)
    policy = SequencePolicy(model, "sampled", target=1.0 if returns else None, scale=(0.0, 100.0))
    env = gym.make_vec("netenvs/ABR-v0", num_envs=3, autoreset_mode="disabled")
    observations, infos = env.reset(seed=3)
    policy.reset_rows(np.arange(3), [0, 1, 2])
    steps, actions, rewards = [], [], [np.zeros(3)]
    for _ in range(47):
        infos = {**infos, **env.unwrapped.shared_info, "row": np.arange(3)}
        steps.append(net.observe(observations, infos))
        actions.append(policy.act_batch(observations, infos))
        observations, reward, _, _, infos = env.step(actions[-1])
        rewards.append(rewards[-1] + reward)
    to_go = (1.0 - np.stack(rewards[:-1], axis=1).ravel() / 100).astype(np.float32)
    order = np.arange(3 * 47).reshape(47, 3).T.ravel()
    taken = np.stack(actions, axis=1)
    whole = Sequences(
        {name: np.concatenate([step[name] for step in steps])[order] for name in steps[0]},
        np.full(3, 47),
        np.concatenate([np.full((3, 1), -1), taken[:, :-1]], axis=1).ravel(),
        np.tile(np.arange(47), 3),
        to_go if returns else None,
    )
    with torch.no_grad():
        reached = model(whole)[0].double().softmax(dim=1).cumsum(dim=1).numpy().reshape(3, 47, 6)
    drawn = np.stack([[stream.random() for _ in range(47)] for stream in map(np.random.default_rng, range(3))])
    sure = (np.abs(reached - drawn[:, :, None]) > 1e-4).all(axis=2)
    assert sure.mean() > 0.99 and len(np.unique(taken)) == 6
    assert np.array_equal((reached > drawn[:, :, None]).argmax(axis=2)[sure], taken[sure])
