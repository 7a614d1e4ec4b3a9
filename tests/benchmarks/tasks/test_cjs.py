"""The command on job scheduling, run in process on a few small clusters."""

import csv
import functools

import gymnasium as gym
import numpy as np
import pytest

from agents.policy import Policy, load_policy
from agents.rollout import EpisodeSpec, play
from benchmarks.compare import command as compare
from benchmarks.compare import plots
from benchmarks.compare.options import Options
from benchmarks.tasks.cjs import TASK
from netenvs import tasks

SMALL = "netenvs/CJS-small-v0"
SIZE = ["--set", "num_executors=6", "--set", "num_jobs=5"]

OWN_SCHEDULERS = '''
from agents.cjs import DECLINE, Decision, Scheduler

class SmallestJobFirst(Scheduler):
    def decide(self, view):
        stage = min(view.schedulable, key=lambda s: s.job.remaining_work_ms)
        return Decision(stage, view.committable)

class Nothing(Scheduler):
    def decide(self, view):
        return None

class TooMany(Scheduler):
    def decide(self, view):
        return Decision(view.schedulable[0], view.committable + 1)

class Blocked(Scheduler):
    def decide(self, view):
        blocked = [stage for stage in view.jobs[-1].stages if not stage.schedulable]
        return Decision((blocked or view.schedulable)[0], 1)

class Raises(Scheduler):
    def decide(self, view):
        return {}["key"]

class Draws(SmallestJobFirst):
    """Lets the environment's stream decide how many."""

    def bind(self, env):
        self.stream = env.unwrapped.shared_random

    def decide(self, view):
        stage, executors = super().decide(view)
        return Decision(stage, self.stream.randint(1, executors))
'''


@pytest.fixture
def run(command):
    """``command`` with the task."""
    return functools.partial(command, "cjs")


@pytest.fixture
def own(tmp_path):
    path = tmp_path / "mine.py"
    path.write_text(OWN_SCHEDULERS)
    return str(path)


def row_of(results, policy):
    return next(row for row in results["rows"] if row["policy"] == policy)


def columns_of(path):
    with path.open() as file:
        return list(csv.DictReader(file))


def completion_times_s(policy, seed, **options):
    """Of one episode in a plain loop: (job completion times in order of completion, last info, decisions)."""
    env = gym.make(SMALL, **options)
    observation, info = env.reset(seed=seed)
    policy.bind(env)
    policy.reset(seed=seed)
    over, decisions = False, 0
    while not over:
        observation, _, over, _, info = env.step(policy.act(observation, info))
        decisions += 1
    jobs = env.unwrapped.jobs_done()
    return (jobs["completion_ms"] - jobs["arrival_ms"]) / 1000, info, decisions


def test_numbers_are_those_of_a_plain_loop(run, tmp_path):
    status, results, out, err = run("--policies", "fair,random,capped-srpt", "--episodes", "3", "--seed", "4", *SIZE)
    assert (status, err) == (0, "")
    assert results["metric"] == {"name": "mean_jct_s", "unit": "s", "better": "lower"}
    assert (results["dataset"], results["settings"]["environment"]) == ("synthetic", SMALL)
    jct = {row["policy"]: [] for row in results["rows"]}
    for name in jct:
        played = [completion_times_s(load_policy(name, "cjs"), s, num_executors=6, num_jobs=5) for s in (4, 5, 6)]
        jct[name] = [times for times, _, _ in played]
        row = row_of(results, name)
        assert row["per_episode"] == pytest.approx([times.mean() for times in jct[name]], rel=1e-12)
        assert row["terms"] == pytest.approx(
            {
                "p95_jct_s": np.mean([np.percentile(times, 95) for times in jct[name]]),
                "makespan_s": np.mean([info["time_s"] for _, info, _ in played]),
                "utilisation": np.mean([info["utilisation"] for _, info, _ in played]),
                "decisions": np.mean([decisions for _, _, decisions in played]),
            },
            rel=1e-12,
        )
    points = columns_of(tmp_path / "out" / "cdf.csv")
    for name, times in jct.items():
        own = [point for point in points if point["policy"] == name]
        assert [float(point["jct_s"]) for point in own] == np.sort(np.concatenate(times)).tolist()
        assert [float(point["share"]) for point in own] == pytest.approx(np.arange(1, 16) / 15)
    assert "mean JCT (s), lower is better" in out


def test_differences_are_to_fair_whichever_is_best(run, tmp_path):
    _, results, out, _ = run("--policies", "capped-srpt,fair,fifo", "--episodes", "4")
    assert results["rows"][0]["policy"] == "capped-srpt", "so fair is not the best baseline"
    fair = row_of(results, "fair")
    assert fair["paired"] is None
    for name in ("capped-srpt", "fifo"):
        row = row_of(results, name)
        paired = row["paired"]
        assert paired["to"] == "fair"
        assert paired["mean"] == pytest.approx(np.mean(np.subtract(row["per_episode"], fair["per_episode"])))
        assert paired["percent"] == pytest.approx(100 * (row["mean"] / fair["mean"] - 1))
        assert paired["percent_ci95"][0] < paired["percent"] < paired["percent_ci95"][1]
        assert f"{paired['percent']:+.1f}" in out
    assert "minus fair: difference to fair over the same episodes, in percent" in out
    page = (tmp_path / "out" / "report.html").read_text()
    best = results["rows"][0]["paired"]["percent"]
    assert f"capped-srpt is the best of 3 policies: mean JCT (s) {results['rows'][0]['mean']:.1f} [" in page
    assert f"{-best:.1f} % below fair" in page
    assert '<th scope="col">minus fair, %</th>' in page
    points = columns_of(tmp_path / "out" / "relative.csv")
    assert [point["policy"] for point in points] == ["capped-srpt", "fifo"]
    assert float(points[0]["percent"]) == best


def test_differences_without_fair_are_to_the_best_baseline(run):
    _, results, out, _ = run("--policies", "fifo,fifo-full", "--episodes", "2", *SIZE)
    best, other = results["rows"]
    assert best["paired"] is None
    assert other["paired"]["to"] == best["policy"]
    assert f"minus best: difference to the best baseline, {best['policy']}," in out


def test_episodes_have_consecutive_seeds_for_cluster_and_policy(run):
    words = ["--policies", "random,fair", *SIZE]
    _, three, _, _ = run(*words, "--seed", "7", "--episodes", "3", out="three")
    _, two, _, _ = run(*words, "--seed", "8", "--episodes", "2", out="two")
    for name in ("random", "fair"):
        assert row_of(two, name)["per_episode"] == row_of(three, name)["per_episode"][1:]


def test_ten_small_clusters_unless_said_otherwise(tmp_path):
    plan = compare.prepare(Options(task="cjs", policies="fair", out=tmp_path / "out"))
    assert plan.episodes == [EpisodeSpec(seed, seed) for seed in range(10)]
    assert plan.setup.details["cluster"].startswith("10 executors")
    assert plan.setup.details["jobs"].startswith("20 an episode")


def test_pictures_and_files(run, tmp_path):
    _, results, _, _ = run("--policies", "fair,srpt,random", "--episodes", "3", *SIZE)
    names = ("cdf", "example", "mean", "relative", "terms")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == sorted(
        [*(f"{name}.{ending}" for name in names for ending in ("csv", "png")), "report.html", "results.json"]
    )
    page = (tmp_path / "out" / "report.html").read_text()
    assert page.count("<img") == 5
    best = results["rows"][0]
    seed = int(np.argsort(best["per_episode"])[1])
    assert f"Seed {seed}, mean JCT (s) {best['per_episode'][seed]:.1f}: the median episode" in page
    assert "Played again" not in page
    bars = columns_of(tmp_path / "out" / "example.csv")
    assert list(bars[0]) == ["executor", "job", "start_s", "end_s"]
    env = gym.make(SMALL, num_executors=6, num_jobs=5, render_mode="rgb_array")
    policy = load_policy(best["policy"], "cjs")
    observation, info = env.reset(seed=seed)
    over = False
    while not over:
        observation, _, over, _, info = env.step(policy.act(observation, info))
    work_ms = env.unwrapped.tasks()["duration_ms"].sum()
    assert sum(float(bar["end_s"]) - float(bar["start_s"]) for bar in bars) == pytest.approx(work_ms / 1000)


def test_a_scheduler_of_one_s_own(run, own):
    status, results, _, _ = run("--policies", "fair", "--policy", f"{own}:SmallestJobFirst", "--episodes", "4")
    assert status == 0
    row = row_of(results, "SmallestJobFirst")
    assert row["paired"]["to"] == "fair"
    assert row["per_episode"][2] == pytest.approx(
        completion_times_s(load_policy(f"{own}:SmallestJobFirst"), 2)[0].mean()
    )


def test_failing_schedulers_get_a_line_with_scheduler_time_and_stage(run, own):
    failing = ("Nothing", "TooMany", "Blocked", "Raises")
    words = [word for name in failing for word in ("--policy", f"{own}:{name}")]
    status, results, _, err = run("--policies", "fair", *words, "--episodes", "2", *SIZE)
    assert status == 1
    assert row_of(results, "fair")["mean"] is not None
    errors = {name: row_of(results, name)["error"] for name in failing}
    assert err.splitlines() == [f"failed: {error}" for error in errors.values()]
    for name, what in [
        ("Nothing", "at 0.000 s: decide(view) returned nothing; return Decision(stage, executors) or DECLINE"),
        ("TooMany", "at 0.000 s, stage 0 of job 0: executors must be a whole number from 1 to 6"),
        ("Raises", "at 0.000 s: KeyError: 'key'"),
    ]:
        assert errors[name].startswith(f"{name}: seed 0, decision 0: {what}"), errors[name]
    assert " is not schedulable; choose one of stage " in errors["Blocked"]
    assert "Blocked: seed 0, decision " in errors["Blocked"] and " s: stage " in errors["Blocked"]


def test_a_policy_that_draws_from_the_environment_s_stream_plays_its_example_itself(run, own, tmp_path, netllm_tpch):
    """Its recorded actions would meet other task durations."""
    words = ["--policies", f"{own}:Draws", "--episodes", "3", *SIZE]
    status, results, _, _ = run("--dataset", "tpch", "--set", "rng=netllm", *words)
    assert status == 0
    page = (tmp_path / "out" / "report.html").read_text()
    assert "Played again" not in page
    options = {"workload": "tpch", "rng": "netllm", "num_executors": 6, "num_jobs": 5}
    (episode,) = play(load_policy(f"{own}:Draws"), SMALL, [EpisodeSpec(1, 1)], options)
    assert episode.columns["mean_jct_s"][-1] == results["rows"][0]["per_episode"][1]
    again = plots.play_again(tasks.find("cjs"), TASK, load_policy(f"{own}:Draws"), episode, options)
    assert np.array_equal(again.rewards, episode.rewards)


def test_an_example_that_does_not_repeat_itself_says_so(run, own, tmp_path):
    forgetful = OWN_SCHEDULERS.replace(
        "self.stream = env.unwrapped.shared_random",
        "self.stream = random.Random(Draws.count); Draws.count += 1",
    ).replace("    def bind", "    count = 0\n\n    def bind")
    (tmp_path / "mine.py").write_text(f"import random\n{forgetful}")
    run("--policies", f"{own}:Draws", "--episodes", "2", *SIZE)
    page = (tmp_path / "out" / "report.html").read_text()
    assert "Played again for this picture; before, it had " in page


def test_recorded_actions_bring_about_the_same_episode():
    """Also where the policy would choose others the second time, and with observations that it asks for."""
    seen = []

    class Unseeded(Policy):
        observation_options = {"observation": "graph"}  # noqa: RUF012

        def __init__(self):
            self.rng = np.random.default_rng()

        def act(self, observation, info):
            seen.append(type(observation).__name__)
            possible = np.flatnonzero(info["action_mask"][1:-6])
            return np.array([1 + self.rng.choice(possible), 0])

    policy, options = Unseeded(), {"num_executors": 6, "num_jobs": 3}
    (episode,) = play(policy, SMALL, [EpisodeSpec(3)], options)
    again = plots.play_again(tasks.find("cjs"), TASK, policy, episode, options)
    assert np.array_equal(again.rewards, episode.rewards)
    figure, columns = again.collected
    assert len(figure.axes) == 2
    assert columns["end_s"].max() == pytest.approx(episode.columns["time_s"][-1])
    assert set(seen) == {"GraphInstance"} and len(seen) == len(episode.actions)


def test_wrong_options_stop_before_anything_runs(run, tmp_path):
    for words, message in [
        (["--set", "time_limit_ms=1e6"], "--set time_limit_ms: an episode is played until all its jobs are done"),
        (["--set", "beta=0.1"], "--set beta: it only changes the reward"),
        (["--set", "render_mode=ansi"], "draws its own plots"),
        (["--set", "workload=tpch"], "the workload is chosen with --dataset"),
        (["--set", "num_executers=5"], "did you mean 'num_executors'?"),
        (["--set", "num_executors=ten"], "num_executors must be a whole number"),
        (["--set", "work_conserving=1"], "must be true or false"),
        (["--set", "rng=netlm"], "did you mean 'netllm'?"),
        (["--set", "rng=netllm"], "workload must be 'tpch', not 'synthetic'"),
        (["--set", "num_jobs=None"], "num_jobs=None needs a time_limit_ms"),
        (["--dataset", "synthetik"], "did you mean 'synthetic'?"),
        (["--dataset", "no/such.json"], "no such file"),
        (["--policies", "fare"], "did you mean 'fair'?"),
        (["--policies", "bba"], "unknown policy 'bba'"),
    ]:
        status, results, out, err = run(*words)
        assert (status, results, out) == (2, None, ""), words
        assert err.startswith("error: ") and len(err.splitlines()) == 1, words
        assert message in err, (words, err)
    assert not (tmp_path / "out").exists()


def test_list_shows_schedulers_and_workloads(capsys, tmp_path, monkeypatch):
    monkeypatch.setenv("NETENVS_DATA", str(tmp_path))
    assert compare.main(["--task", "cjs", "--list"]) == 0
    out = capsys.readouterr().out
    for text in ("capped-srpt", "decima-weights (not installed)", "--dataset (workload)", "alibaba(path=FILE)"):
        assert text in out
    assert "python -m netenvs.datasets install netllm-tpch" in out


def test_published_means_are_reproduced(run, netllm_tpch):
    """NetLLM's simulator and schedulers, executed: seeds 0 to 4, mean JCT in s, and means over the seeds."""
    published = {
        "fair": ([537.3, 383.3, 381.5, 249.8, 912.1], 492.8, 1648, 272),
        "fifo": ([635.8, 411.2, 440.1, 258.9, 1140.1], 577.2, 1587, 313),
        "random": ([869.9, 704.5, 771.7, 405.8, 1337.0], 817.8, 1520, 284),
    }
    _, results, _, _ = run(
        *("--dataset", "tpch", "--set", "rng=netllm", "--set", "num_executors=10", "--set", "num_jobs=20"),
        *("--seed", "0", "--episodes", "5", "--policies", "fair,fifo,random"),
    )
    for name, (per_seed, mean, makespan, decisions) in published.items():
        row = row_of(results, name)
        assert [round(score, 1) for score in row["per_episode"]] == per_seed
        assert round(row["mean"], 1) == mean
        assert (round(row["terms"]["makespan_s"]), round(row["terms"]["decisions"])) == (makespan, decisions)
