"""``Scheduler``: what a decision must be, and a scheduler of one's own."""

import gymnasium as gym
import numpy as np
import pytest
from hand_made_clusters import make_view

from agents.cjs import DECLINE, Decision, Scheduler
from agents.cjs.scheduler import Heuristic
from agents.policy import PolicyError, load_policy
from agents.rollout import EpisodeSpec, play

ENV_ID = "netenvs/CJS-v0"


def mean_jct_s(name, num_executors, num_jobs, workload="tpch", seeds=range(40)):
    options = {"workload": workload, "num_executors": num_executors, "num_jobs": num_jobs}
    episodes = play(load_policy(name, "cjs"), ENV_ID, [EpisodeSpec(seed) for seed in seeds], options)
    return np.mean([episode.columns["mean_jct_s"][-1] for episode in episodes])


def faulty(answer):
    class Faulty(Scheduler):
        def decide(self, view):
            if view.now_s > 0:
                return answer(view)
            return Decision(view.schedulable[0], view.committable)

    return Faulty()


def blocked_stage(view):
    return next(stage for job in view.jobs for stage in job.stages if not stage.schedulable)


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (
            lambda view: Decision(blocked_stage(view), 1),
            r"stage \d+ of job \d+ is not schedulable; choose one of stage \d+ of job \d+",
        ),
        (
            lambda view: Decision(view.schedulable[0], 99),
            r"stage \d+ of job \d+.*: executors must be a whole number from 1 to \d+ \(view.committable\), not 99",
        ),
        (lambda view: Decision(view.schedulable[0], 0), r"stage \d+ of job \d+.*: executors must be .*, not 0"),
        (lambda view: Decision(view.schedulable[0], 1.5), r"stage \d+ of job \d+.*: executors must be .*, not 1.5"),
        (lambda view: Decision(view.schedulable[0], True), r"stage \d+ of job \d+.*: executors must be .*, not True"),
        (lambda view: Decision(0, 1), r"0 is not schedulable; choose one of stage \d+ of job \d+"),
        (lambda view: None, r"decide\(view\) returned nothing; return Decision\(stage, executors\) or DECLINE"),
        (lambda view: view.schedulable[0], r"decide\(view\) returned stage \d+ of job .*; return Decision"),
        (lambda view: 1 // 0, "ZeroDivisionError: integer division or modulo by zero"),
    ],
)
def test_mistakes_are_one_line_with_scheduler_time_and_stage(answer, message):
    where = r"Faulty: seed 4, decision \d+: at \d+\.\d{3} s"
    with pytest.raises(PolicyError, match=rf"^{where}(: |, ){message}[^\n]*$"):
        play(faulty(answer), ENV_ID, [EpisodeSpec(4)], {"num_executors": 4, "num_jobs": 3})


def test_declining_for_ever_is_a_mistake():
    class Lazy(Scheduler):
        def decide(self, view):
            return DECLINE

    message = (
        r"^Lazy: seed 4, decision \d+: at \d+\.\d{3} s: declined although nothing else is going to happen; "
        r"\d+ jobs would stay unfinished\. Choose one of stage \d+ of job \d+[^\n]*$"
    )
    with pytest.raises(PolicyError, match=message):
        play(Lazy(), ENV_ID, [EpisodeSpec(4)], {"num_executors": 4, "num_jobs": 3})


def test_stages_of_another_decision_are_mistakes():
    """Views are snapshots: what was schedulable then need not be so now."""
    kept = []

    class Late(Scheduler):
        def decide(self, view):
            kept.append(view.schedulable[0])
            return Decision(kept[0], 1)

    with pytest.raises(PolicyError, match=r"Late: seed 4, decision 1: at .* is not schedulable"):
        play(Late(), ENV_ID, [EpisodeSpec(4)], {"num_executors": 4, "num_jobs": 3})


def test_a_scheduler_must_decide():
    with pytest.raises(NotImplementedError, match=r"Scheduler does not define decide\(view\)"):
        Scheduler().decide(make_view([(0, [{}])]))
    with pytest.raises(NotImplementedError, match=r"Heuristic does not define rule\(num_executors\)"):
        Heuristic().rule(10)


def test_the_example_of_the_readme(tmp_path):
    file = tmp_path / "mine.py"
    file.write_text(
        "from agents.cjs import Decision, Scheduler\n\n"
        "class SmallestJobFirst(Scheduler):\n"
        "    def decide(self, view):\n"
        "        stage = min(view.schedulable, key=lambda s: s.job.remaining_work_ms)\n"
        "        return Decision(stage, view.committable)\n"
    )
    policy = load_policy(f"{file}:SmallestJobFirst")
    episodes = play(policy, ENV_ID, [EpisodeSpec(seed) for seed in range(5)], {"num_executors": 10, "num_jobs": 20})
    fair = mean_jct_s("fair", 10, 20, "synthetic", range(5))
    assert np.mean([episode.columns["mean_jct_s"][-1] for episode in episodes]) < fair


def test_environment_id():
    assert gym.spec(ENV_ID).vector_entry_point is not None
