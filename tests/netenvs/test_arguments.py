"""Sizes that nobody means are one line, before anything of such a size is made."""

import re

import gymnasium as gym
import pytest

import netenvs  # noqa: F401

HUGE = 10**12


@pytest.mark.parametrize(
    ("env_id", "options", "message"),
    [
        ("ABR", {"traces": f"synthetic(count={HUGE})"}, "from 1 to 100000, it is 1000000000000"),
        ("ABR", {"traces": f"genet(count={HUGE})"}, "from 1 to 100000, it is 1000000000000"),
        ("ABR", {"traces": f"pensieve-markov(count={HUGE})"}, "from 1 to 100000, it is 1000000000000"),
        ("ABR", {"traces": f"pensieve-markov(duration_s={HUGE})"}, "more than 20000000 rows; give fewer"),
        ("ABR", {"traces": "pensieve-markov(duration_s=1e400)"}, "more than 20000000 rows"),
        ("ABR", {"traces": "pensieve-markov(t_s=1e400)"}, "cannot convert float infinity to integer"),
        ("ABR", {"traces": "genet(change_interval=1e30)"}, "traces 'genet(change_interval=1e30)': "),
        ("ABR", {"video": f"generated(levels={HUGE})"}, "from 2 to 20, it is 1000000000000"),
        ("ABR", {"history": HUGE}, "history must be 10000 or less"),
        ("CJS", {"workload": f"synthetic(count={HUGE})"}, "count must be 10000 or less"),
        ("CJS", {"num_executors": HUGE}, "num_executors must be 100000 or less"),
        ("CJS", {"num_jobs": 10**30}, "num_jobs must be 1099511627776 or less"),
        ("CJS", {"max_jobs": HUGE}, "max_jobs must be 10000 or less"),
        ("CJS", {"max_stages": HUGE}, "max_stages must be 1000000 or less"),
        ("VP", {"dataset": f"synthetic(videos={HUGE})"}, "more than 10000000 in all; give fewer"),
        ("VP", {"dataset": f"synthetic(users={HUGE})"}, "more than 10000000 in all; give fewer"),
        ("VP", {"dataset": f"synthetic(samples={HUGE})"}, "more than 10000000 in all; give fewer"),
        ("VP", {"history": HUGE, "mode": "replay"}, "history must be 10000 or less"),
        ("VP", {"horizon": HUGE}, "horizon must be 10000 or less"),
        ("VPStreaming", {"history": HUGE}, "history must be 10000 or less"),
    ],
)
def test_sizes_of_options(env_id, options, message):
    with pytest.raises(ValueError, match=re.escape(message)) as caught:
        gym.make(f"netenvs/{env_id}-v0", **options)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("env_id", ["ABR", "CJS", "VP", "VPStreaming"])
def test_sizes_of_vector_environments(env_id):
    with pytest.raises(ValueError, match="num_envs must be 1000000 or less"):
        gym.make_vec(f"netenvs/{env_id}-v0", num_envs=HUGE, vectorization_mode="vector_entry_point")
