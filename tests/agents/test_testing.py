"""``check_policy`` accepts every built-in policy and finds those that break a promise."""

import numpy as np
import pytest

from agents.policy import BatchPolicy, Policy, PolicyError, load_policy
from agents.registry import registered
from agents.testing import check_policy
from netenvs import datasets

VARIANTS = [
    *(name for name in registered("abr") if name != "oracle"),
    "robust-mpc(robust=false)",
    "throughput(past_chunks=1,safety=0.8)",
    "bola(gp=5)",
    "genet-released(mode=sampled)",
    "genet-released(model=udr_1,checkpoint=57400)",
]
OF_ANOTHER_START = ("published:genet", "published:netllm")
"""Published logs of sessions that began elsewhere in the traces."""


@pytest.mark.parametrize("spec", VARIANTS)
def test_built_in_policies_keep_the_contract(spec, request):
    if spec.startswith("published:"):
        for name in ("pensieve", "pensieve-logs", "netllm-abr"):
            if not datasets.installed(name):
                pytest.skip(f"{name} is not installed")
        options = {"traces": "pensieve-test", "preset": "pensieve"}
        if spec in OF_ANOTHER_START:
            with pytest.raises(PolicyError, match="its log does not replay"):
                check_policy(load_policy(spec, "abr"), "abr", env_options=options)
        else:
            check_policy(load_policy(spec, "abr"), "abr", env_options=options)
        return
    if "genet" in spec:
        request.getfixturevalue("genet_weights")
    episodes = 3 if spec in ("netllm", "mamba4net") else 6  # they take their time
    check_policy(load_policy(spec, "abr"), "abr", episodes)


def test_oracle_keeps_the_contract():
    check_policy(load_policy("oracle", "abr"), "abr", episodes=2, env_options={"delay_noise": True})


def test_policies_keep_the_contract_under_other_options():
    options = {"preset": "genet", "delay_noise": True, "qoe": "log", "history": 8}
    for name in ("bba", "robust-mpc", "netllm-mpc"):
        check_policy(load_policy(name, "abr"), "abr", env_options=options)


class Remembers(Policy):
    """Carries the number of its decisions from episode to episode."""

    count = 0

    def act(self, observation, info):
        self.count += 1
        return self.count // 50 % 2


class Unseeded(Policy):
    def act(self, observation, info):
        return int(np.random.default_rng().integers(6))


class DependsOnBatch(BatchPolicy):
    def act_batch(self, observations, infos):
        return np.full(len(observations), len(observations) % 2)


class MixesRows(BatchPolicy):
    def act_batch(self, observations, infos):
        return np.full(len(observations), int(infos["buffer_s"].mean() > 12))


class KeepsRows(BatchPolicy):
    """State by row that no reset clears: it depends on which episodes were in the row before."""

    def __init__(self):
        self.seen = np.zeros(100, dtype=int)

    def act_batch(self, observations, infos):
        self.seen[infos["row"]] += 1
        return self.seen[infos["row"]] // 48 % 2


class OutOfRange(Policy):
    def act(self, observation, info):
        return 6


@pytest.mark.parametrize(
    ("policy", "message"),
    [
        (Remembers, "a second run differs|depends on those before"),
        (Unseeded, "a second run differs"),
        (DependsOnBatch, "depend on the batch size"),
        (MixesRows, "depend on the batch size"),
        (KeepsRows, "a second run differs|batch size"),
    ],
)
def test_broken_policies_fail(policy, message):
    with pytest.raises(AssertionError, match=f"{policy.__name__}: .*({message})"):
        check_policy(policy(), "abr")


def test_state_across_episodes_is_fine_when_declared():
    class Declared(Remembers):
        sequential = True

        def reset(self, seed=None):
            self.count = 0 if seed is not None else self.count

    check_policy(Declared(), "abr")


def test_an_order_dependent_policy_is_found():
    class Ordered(Policy):
        """Equal in every run of the same list, but not in another order."""

        first = None

        def reset(self, seed=None):
            self.first = seed if self.first is None or seed in (100, 105) else self.first

        def act(self, observation, info):
            return int(self.first == 105)

    with pytest.raises(AssertionError, match="Ordered: an episode depends on those before it"):
        check_policy(Ordered(), "abr")


def test_what_is_no_policy():
    with pytest.raises(AssertionError, match=r"is not an agents\.policy\.Policy"):
        check_policy(lambda observation, info: 0, "abr")
    nameless = Remembers()
    nameless.name = ""
    with pytest.raises(AssertionError, match="needs a name"):
        check_policy(nameless, "abr")
    with pytest.raises(PolicyError, match="OutOfRange: seed 100, decision 0"):
        check_policy(OutOfRange(), "abr")
    with pytest.raises(PolicyError, match="unknown task"):
        check_policy(Remembers(), "xyz")


def test_tolerance_is_for_numbers_that_depend_on_the_batch():
    class Rounded(BatchPolicy):
        """Stands still, but for the size of the batch."""

        name = "rounded"

        def act_batch(self, observations, infos):
            last = np.asarray(observations["history"])[:, -1:]
            return np.repeat(last + 1e-4 * len(last), 20, axis=1).astype(np.float32)

    with pytest.raises(AssertionError, match="depend on the batch size"):
        check_policy(Rounded(), "vp")
    check_policy(Rounded(), "vp", tolerance=1e-2)
