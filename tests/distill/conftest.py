"""Small pools."""

import pytest

from agents.policy import BatchPolicy, load_policy
from agents.rollout import EpisodeSpec
from distill.pools.collect import collect
from distill.pools.pool import Pool
from distill.recipe import recipe

CJS_OPTIONS = {"num_jobs": 3, "num_executors": 4, "max_jobs": 3}


class ByBuffer(BatchPolicy):
    """A rule for ABR that looks at nothing but what it is given now."""

    def act_batch(self, observations, infos):
        return (infos["buffer_s"] // 4).astype(int).clip(0, 5)


def abr_episodes(count, first=0):
    return [EpisodeSpec(first + i, first + i, {"trace": i}) for i in range(count)]


@pytest.fixture(scope="session")
def abr_pool(tmp_path_factory):
    """Two policies, five traces each, a quarter of the actions random, shards of two episodes."""
    folder = tmp_path_factory.mktemp("pools") / "abr"
    policies = [load_policy("bba"), ByBuffer()]
    return collect(
        folder, "netenvs/ABR-v0", policies, abr_episodes(5), noise=0.25, seed=3, num_envs=3, episodes_per_shard=2
    )


@pytest.fixture(scope="session")
def cjs_pool(tmp_path_factory):
    """A batch policy and one that is played alone, two clusters each, noisy."""
    folder = tmp_path_factory.mktemp("pools") / "cjs"
    policies = [load_policy("fair", "cjs"), load_policy("random", "cjs")]
    episodes = [EpisodeSpec(seed) for seed in (5, 6)]
    return collect(folder, "netenvs/CJS-v0", policies, episodes, CJS_OPTIONS, noise=0.3)


@pytest.fixture(scope="session")
def vp_pool(tmp_path_factory):
    """One policy in replay: episodes of several decisions, with the paths that it ought to predict."""
    folder = tmp_path_factory.mktemp("pools") / "vp"
    episodes = [EpisodeSpec(i, options={"recording": i}) for i in range(3)]
    options = {"mode": "replay", "stride_s": 4.0}
    labels = {name: column("netenvs/VP-v0", options) for name, column in recipe("vp").labels.items()}
    return collect(folder, "netenvs/VP-v0", [load_policy("velocity")], episodes, options, extra_columns=labels)


@pytest.fixture(params=["abr", "cjs", "vp"])
def any_pool(request) -> Pool:
    return request.getfixturevalue(f"{request.param}_pool")
