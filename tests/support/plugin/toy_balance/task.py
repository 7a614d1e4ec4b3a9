"""The record that the entry point names; whatever it names is loaded when it is needed."""

from netenvs.tasks import Choice, Task

TASK = Task(
    name="load-balancing",
    title="load balancing",
    env_id="toy/Balance-v0",
    entry_point="toy_balance.env:BalanceEnv",
    dataset_option="load",
    dataset_kind="load",
    datasets=lambda: [Choice("light"), Choice("heavy")],
    units={"action": "server", "reward": "- requests waiting", "obs": "requests waiting at each server"},
    parts={
        "agents": "toy_balance.policies:TASK",
        "distill": "toy_balance.recipe:RECIPE",
        "benchmarks": "toy_balance.comparison:TASK",
        "speed": "toy_balance.measures:SPEED",
    },
)
