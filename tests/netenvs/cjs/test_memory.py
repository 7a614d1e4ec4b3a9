"""How much memory clusters take."""

import subprocess
import sys

import gymnasium as gym
import pytest

import netenvs  # noqa: F401
from netenvs.cjs import kernel, rules

MEMORY = """
import sys
import gymnasium as gym, numpy as np, netenvs
def resident_mb(what):
    lines = open("/proc/self/status").read().splitlines()
    return int(next(line for line in lines if line.startswith(what)).split()[1]) / 1024
from netenvs.cjs import rules
env = gym.make_vec("netenvs/CJS-v0", num_envs=64)
env.reset(seed=0)
engine = env.unwrapped.shared_info["clusters"]
for _ in range(1500):
    env.step(engine.decide(rules.FAIR))
assert "torch" not in sys.modules
print(resident_mb("VmHWM"))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_memory_of_64_clusters():
    """Must: under 600 MB resident in a process that imports netenvs only."""
    run = subprocess.run([sys.executable, "-c", MEMORY], capture_output=True, text=True, check=True)
    assert float(run.stdout) < 600


def test_ten_thousand_jobs_need_no_more_memory_than_a_thousand():
    """Slots follow the jobs in the system; only the list of completion times grows, by 32 bytes a job."""
    env = gym.make_vec("netenvs/CJS-v0", num_envs=1, num_jobs=10_000, autoreset_mode="disabled")
    env.reset(seed=0)
    clusters = env.unwrapped.engine.clusters
    sizes = []
    while not clusters.batch.state["terminated"][0]:
        kernel.play_rows(clusters.workload, clusters.options, clusters.batch, rules.FAIR, 2000)
        clusters.finish()
        sizes.append(clusters.nbytes - clusters.batch.job_log.nbytes)
    assert clusters.batch.state["num_done"][0] == 10_000
    assert sizes[-1] <= 2 * sizes[len(sizes) // 10] and sizes[-1] < 2e6
