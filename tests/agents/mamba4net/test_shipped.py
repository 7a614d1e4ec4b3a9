"""The shipped students: a twentieth of their teachers, as good as their cards say, the same however they are played."""

import numpy as np
import pytest
import torch

from agents.abr.scores import score
from agents.cjs.clusters import Setting
from agents.cjs.scores import mean_jcts_s
from agents.policy import load_policy
from agents.pretrained import CHECKPOINTS
from agents.ragged import concatenate, take
from agents.rollout import EpisodeSpec, play
from agents.sequence.model import Sequences
from agents.sequence.net import MASKED
from agents.sequence.testing import check_backbone
from agents.testing import check_policy
from agents.training.card import read
from agents.vp.scores import predict_windows
from netenvs import tasks
from netenvs.vp import sphere
from netenvs.vp.previous_viewers import PreviousViewers
from netenvs.vp.recordings import Windows, windows
from netenvs.vp.workload import load_recordings

SHARE = 0.0548
"""Of the teacher's storage, in the Mamba4Net paper (arXiv 2510.17147, abstract)."""
SMALL = {"abr": {}, "cjs": {"num_jobs": 4, "num_executors": 5}, "vp": {}}


def scores(task, setting, row="mamba4net"):
    own = read(CHECKPOINTS / f"{task}-mamba4net").training.scores[setting][row]
    return np.array(own.values), np.array(own.weights)


class Heard:
    """What a policy reads, puts out and chooses while it plays, decision by decision."""

    def __init__(self, policy, monkeypatch):
        self.rows, self.steps, self.outputs, self.chosen = [], [], [], []
        net, kind = policy.model.task, type(policy)
        head = "path" if net.continuous else "logits"
        act, observe, read, to_env = kind.act_batch, net.observe, getattr(net, head), net.to_env

        def heard_act(own, observations, infos):
            self.rows.append(np.array(infos["row"]))
            self.outputs.append([])
            return act(own, observations, infos)

        def heard_observe(observations, infos):
            self.steps.append(observe(observations, infos))
            return self.steps[-1]

        def heard_read(*inputs):
            output = read(*inputs)
            self.outputs[-1].append((output[0] if net.continuous else output).clone())
            return output

        def heard_to_env(actions, steps):
            self.chosen.append(actions)
            return to_env(actions, steps)

        monkeypatch.setattr(kind, "act_batch", heard_act)
        monkeypatch.setattr(net, "observe", heard_observe)
        monkeypatch.setattr(net, head, heard_read)
        monkeypatch.setattr(net, "to_env", heard_to_env)

    def output(self, component):
        """Of all decisions, those of each row one after the other, as wide as the widest."""
        parts = [one[component] for one in self.outputs]
        width = max(part.shape[1] for part in parts)
        padded = [torch.nn.functional.pad(part, (0, width - part.shape[1]), value=MASKED) for part in parts]
        return torch.cat(padded)[self.order]

    @property
    def order(self):
        return np.argsort(np.concatenate(self.rows), kind="stable")


@pytest.mark.parametrize("task", ["abr", "cjs", "vp"])
def test_students_are_a_twentieth_of_their_teachers(task):
    student, teacher = load_policy("mamba4net", task), load_policy("netllm", task)
    assert student.parameters <= SHARE * teacher.parameters
    assert student.bytes <= SHARE * teacher.bytes


@pytest.mark.parametrize("task", ["abr", "cjs", "vp"])
def test_backbones_keep_the_contract(task):
    check_backbone(load_policy("mamba4net", task).model.backbone)


@pytest.mark.parametrize("task", ["abr", "cjs", "vp"])
def test_policies_keep_the_contract(task):
    check_policy(load_policy("mamba4net", task), task, episodes=3, env_options=SMALL[task], tolerance=1e-3)


@pytest.mark.parametrize("task", ["abr", "cjs"])
def test_an_episode_at_once_is_what_was_streamed(task, monkeypatch):
    policy = load_policy("mamba4net", task)
    net, context = policy.model.task, policy.model.context
    to_env = net.to_env
    heard = Heard(policy, monkeypatch)
    play(policy, tasks.find(task).env_id, [EpisodeSpec(seed) for seed in range(3)], SMALL[task], num_envs=3)
    lengths = np.bincount(np.concatenate(heard.rows))
    numbers = np.concatenate([np.arange(length) for length in lengths])
    steps = {name: take(concatenate([step[name] for step in heard.steps]), heard.order) for name in heard.steps[0]}
    chosen = np.concatenate(heard.chosen)[heard.order]
    previous = np.roll(to_env(chosen, steps), 1, axis=0)
    previous[numbers == 0] = -1
    sequences = Sequences(steps, lengths, previous, numbers)
    assert lengths.max() >= (context or 47)
    with torch.inference_mode():
        found = policy.model(sequences.windows(context) if context else sequences, chosen)
    for component, logits in enumerate(found):
        torch.testing.assert_close(heard.output(component), logits, atol=1e-4, rtol=1e-4)


def test_viewports_do_not_depend_on_what_is_predicted_beside():
    policy, recordings = load_policy("mamba4net", "vp"), load_recordings("synthetic")
    cut = Windows(*(values[:100] for values in windows(recordings, "test")))
    one, many = (predict_windows(policy, cut, PreviousViewers(recordings), batch) for batch in (1, 100))
    assert np.abs(sphere.wrap_deg(one - many)).max() < 1e-4 * np.rad2deg(1)


def test_bitrates_are_those_of_the_card(netllm_abr):
    values, _ = scores("abr", "fcc-test")
    assert np.mean(values) > 1.05
    assert np.mean(values) > (1 - 0.024) * np.mean(scores("abr", "fcc-test", "teacher")[0])
    assert score(load_policy("mamba4net", "abr"), "fcc-test").mean() == pytest.approx(values.mean(), abs=0.005)


def test_schedules_are_those_of_the_card(netllm_tpch):
    for setting in ("tpch, 10 executors, 20 jobs", "tpch, 50 executors, 50 jobs"):
        values, _ = scores("cjs", setting)
        assert values.mean() < 1.024 * scores("cjs", setting, "teacher")[0].mean()
        assert values.mean() < 1.07 * scores("cjs", setting, "capped-srpt")[0].mean()
    values, _ = scores("cjs", "tpch, 10 executors, 20 jobs")
    found = mean_jcts_s(load_policy("mamba4net", "cjs"), "tpch", Setting(10, 20), range(100, 106))
    assert found.mean() == pytest.approx(values[:6].mean(), rel=0.02)


def test_viewports_are_those_of_the_card(jin2022):
    values, weights = scores("vp", "jin2022, test")
    theirs, _ = scores("vp", "jin2022, test", "teacher")
    assert np.average(values, weights=weights) < 1.024 * np.average(theirs, weights=weights)
    recordings = load_recordings("jin2022")
    cut = windows(recordings, "test")
    policy = load_policy("mamba4net", "vp")
    errors = sphere.absolute_errors(predict_windows(policy, cut, PreviousViewers(recordings)), cut.future)
    assert errors.mean() == pytest.approx(np.average(values, weights=weights), abs=1e-3)
    assert errors.mean() < 8.80
