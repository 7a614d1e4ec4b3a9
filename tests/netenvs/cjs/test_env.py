"""``netenvs/CJS-v0`` as a Gymnasium environment: both engines, options, actions, masks, infos, memory."""

import pickle
import subprocess
import sys

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.spaces import GraphInstance

import netenvs  # noqa: F401
from netenvs.cjs import kernel
from netenvs.cjs.cluster_view import ClusterView
from netenvs.cjs.engines import SimpyEngine
from netenvs.cjs.jobs import Job, Stage, make_job_set
from netenvs.cjs.reference import DeadlockError, ReferenceSimulator
from netenvs.cjs.workload import load_workload
from netenvs.testing import check_task

SMALL = "netenvs/CJS-small-v0"


def play(env, decide, seed=0):
    """Every step of one episode: (observation, reward, info)."""
    observation, info = env.reset(seed=seed)
    seen = [(observation, 0.0, info)]
    over = False
    while not over:
        observation, reward, terminated, truncated, info = env.step(decide(info))
        seen.append((observation, reward, info))
        over = terminated or truncated
    return seen


def first_stage(info):
    """All executors on offer to the first schedulable stage."""
    return np.array([info["view"].schedulable[0].row, info["committable"] - 1])


def any_action(env, seed=0):
    """Anything in the space, possible or not."""
    env.action_space.seed(seed)
    return lambda info: env.action_space.sample()


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"engine": "simpy"},
        {"observation": "graph"},
        {"engine": "simpy", "observation": "graph"},
        {"num_executors": 3, "max_jobs": 2},
        {"work_conserving": True, "num_executors": 4},
        {"num_jobs": None, "time_limit_ms": 200_000.0},
        {"beta": 0.005, "moving_delay_ms": 0.0},
    ],
    ids=str,
)
def test_contract(options):
    check_task(SMALL, steps=100, **options)


def test_contract_of_the_large_one():
    check_task("netenvs/CJS-v0", steps=60)


def test_contract_with_published_random_numbers(netllm_tpch):
    check_task(SMALL, steps=40, workload="tpch", rng="netllm")


@pytest.mark.parametrize("action", ["any", "first"])
@pytest.mark.parametrize(
    "options",
    [{}, {"max_jobs": 2, "num_executors": 3}, {"work_conserving": True}, {"beta": 0.01, "time_limit_ms": 300_000.0}],
    ids=str,
)
def test_engines_show_the_same(options, action):
    """Observations, rewards, masks and infos of whole episodes, impossible actions included."""
    fast, simpy = (gym.make(SMALL, engine=engine, **options) for engine in ("fast", "simpy"))
    episodes = [play(env, any_action(env) if action == "any" else first_stage, seed=5) for env in (fast, simpy)]
    assert len(episodes[0]) == len(episodes[1]) > 20
    for left, right in zip(*episodes, strict=True):
        for name in left[0]:
            assert np.array_equal(left[0][name], right[0][name]), name
        assert left[1] == pytest.approx(right[1], rel=1e-12, abs=1e-15)
        for name in kernel.INFO_COLUMNS:
            assert left[2][name] == pytest.approx(right[2][name], rel=1e-12), name
        assert left[2]["view"].job_array.shape == right[2]["view"].job_array.shape
        for name in set(kernel.STAGE_VIEW.names) - {"pool"}:
            assert np.array_equal(left[2]["view"].stage_array[name], right[2]["view"].stage_array[name]), name
        for name in set(kernel.JOB_VIEW.names) - {"pool"}:
            assert np.array_equal(left[2]["view"].job_array[name], right[2]["view"].job_array[name]), name
        assert left[2]["view"].can_decline == right[2]["view"].can_decline
        assert left[2]["view"].source_executors == right[2]["view"].source_executors


def test_rewards_are_minus_completion_times():
    env = gym.make(SMALL)
    episode = play(env, first_stage)
    done = env.unwrapped.jobs_done()
    jct_s = (done["completion_ms"] - done["arrival_ms"]) / 1000.0
    assert len(done) == 20 and sorted(done["job"]) == list(range(20))
    assert sum(reward for _, reward, _ in episode) == pytest.approx(-jct_s.sum(), rel=1e-12)
    assert episode[-1][2]["mean_jct_s"] == pytest.approx(jct_s.mean(), rel=1e-12)
    assert episode[-1][2]["jobs_done"] == 20
    assert np.all(np.diff(done["completion_ms"]) >= 0)


def test_truncated_rewards_count_the_jobs_that_are_left():
    env = gym.make(SMALL, time_limit_ms=150_000.0)
    episode = play(env, first_stage)
    info = episode[-1][2]
    view = info["view"]
    assert info["time_s"] >= 150.0 and info["jobs_in_system"] > 0
    left_s = sum(info["time_s"] - job.arrival_s for job in view.jobs)
    done_s = info["mean_jct_s"] * info["jobs_done"]
    assert sum(reward for _, reward, _ in episode) == pytest.approx(-(left_s + done_s), rel=1e-12)


def test_observation_says_what_the_view_says():
    env = gym.make(SMALL)
    decide = any_action(env)
    size, most = 10, env.unwrapped.options.stages_in_view
    for observation, _, info in play(env, decide)[:-1]:
        view = info["view"]
        rows = [stage for job in view.jobs for stage in job.stages if stage.row]
        assert [stage.row for stage in rows] == list(range(1, len(rows) + 1))
        assert observation["stage_mask"].sum() == len(rows)
        assert observation["job_mask"].sum() == len(view.jobs) == info["jobs_in_system"]
        for stage in rows:
            assert stage.remaining + stage.running > 0, "complete stages have no row"
            expected = [
                stage.remaining / 200,
                stage.running / size,
                max(stage.demand, 0) / size,
                stage.recent_ms / 1e4,
                stage.remaining * stage.recent_ms / 1e5,
                stage.critical_path_ms / 1e5,
                float(stage.schedulable),
                float(stage.frontier),
            ]
            assert observation["stages"][stage.row - 1] == pytest.approx(expected, rel=1e-6)
            assert observation["stage_job"][stage.row - 1] == view.jobs.index(stage.job)
        edges = {(parent.row - 1, stage.row - 1) for stage in rows for parent in stage.parents if parent.row}
        count = observation["edge_mask"].sum()
        assert {tuple(edge) for edge in observation["edges"][:count].tolist()} == edges and count == len(edges)
        for position, job in enumerate(view.jobs):
            own = job is view.source
            cap = view.committable if own else min(max(size - job.supply, 0), view.committable)
            expected = [job.supply / size, cap / size, float(own), view.now_s / 100 - job.arrival_s / 100]
            assert observation["jobs"][position][:4] == pytest.approx(expected, rel=1e-5, abs=1e-6)
            assert observation["jobs"][position][4] == pytest.approx(job.remaining_work_ms / 1e6, rel=1e-6)
        assert observation["cluster"] == pytest.approx(
            [view.committable / size, len(view.jobs) / 20, float(view.source is not None)], rel=1e-6
        )
        possible = {stage.row for stage in view.schedulable} | ({0} if view.can_decline else set())
        assert set(np.flatnonzero(info["action_mask"][: most + 1])) == possible
        assert info["action_mask"][most + 1 :].tolist() == [k < view.committable for k in range(size)]
        assert np.array_equal(observation["action_mask"], info["action_mask"])
        assert info["source_job"] == (-1 if view.source is None else view.source.id)
        assert not info["truncated_view"]


def test_graph_has_the_rows_of_the_padded_observation():
    padded, graph = gym.make(SMALL), gym.make(SMALL, observation="graph")
    for (left, _, _), (right, _, _) in zip(play(padded, first_stage), play(graph, first_stage), strict=True):
        assert isinstance(right, GraphInstance)
        count, jobs = left["stage_mask"].sum(), left["stage_job"][: left["stage_mask"].sum()]
        assert np.array_equal(right.nodes[:, :8], left["stages"][:count])
        assert np.array_equal(right.nodes[:, 8:13], left["jobs"][jobs])
        assert np.array_equal(right.nodes[:, 13], jobs)
        edges = left["edges"][: left["edge_mask"].sum()]
        assert np.array_equal(edges, np.empty((0, 2)) if right.edge_links is None else right.edge_links)


@pytest.mark.parametrize("engine", ["fast", "simpy"])
def test_impossible_actions_become_the_nearest_possible_ones(engine):
    env = gym.make(SMALL, engine=engine)
    for _, _, info in play(env, first_stage):
        if len(info["view"].schedulable) > 2 and info["committable"] > 1:
            break

    # play up to that decision again, and act there
    def until():
        _, now = env.reset(seed=0)
        while now["time_s"] != info["time_s"] or now["committable"] != info["committable"]:
            *_, now = env.step(first_stage(now))
        return now

    now = until()
    mask = now["action_mask"][: env.unwrapped.options.stages_in_view + 1].copy()
    possible = np.flatnonzero(mask[1:]) + 1
    for wanted in range(1, possible[-1] + 8):
        if mask[wanted]:
            continue
        nearest = min(possible.tolist(), key=lambda row: (abs(row - wanted), row))
        until()
        *_, asked = env.step(np.array([wanted, 0]))
        until()
        *_, given = env.step(np.array([nearest, 0]))
        assert asked["invalid_action"] and not given["invalid_action"]
        assert asked["view"] == given["view"]
    until()
    *_, asked = env.step(np.array([possible[0], 9]))
    until()
    *_, given = env.step(np.array([possible[0], now["committable"] - 1]))
    assert asked["invalid_action"] == (now["committable"] < 10) and asked["view"] == given["view"]


@pytest.mark.parametrize("engine", ["fast", "simpy"])
def test_a_decline_that_would_end_everything_is_impossible(engine):
    env = gym.make("netenvs/CJS-v0", engine=engine, num_executors=2, num_jobs=1)
    _, info = env.reset(seed=0)
    assert not info["view"].can_decline and not info["action_mask"][0]
    *_, after = env.step(np.array([0, 0]))
    assert after["invalid_action"] and after["time_s"] >= 0
    first = info["view"].schedulable[0]
    assert after["view"].jobs[0].stages[first.id].demand < first.demand, "its executors went to the first stage"


def test_only_declining_ends_all_the_same():
    env = gym.make(SMALL)
    assert play(env, lambda info: np.array([0, 0]))[-1][2]["jobs_done"] == 20


@pytest.mark.parametrize("seed", range(3))
def test_declining_at_random_never_strands_a_cluster(seed):
    env = gym.make(SMALL, num_executors=3, max_jobs=3).unwrapped
    rng = np.random.default_rng(seed)

    def decide(info):
        rows = np.flatnonzero(info["action_mask"][: env.options.stages_in_view + 1])
        return np.array([0 if info["action_mask"][0] and rng.random() < 0.5 else rng.choice(rows), 0])

    for episode in range(20):
        assert play(env, decide, seed=100 * seed + episode)[-1][2]["jobs_done"] == 20


def test_a_seed_determines_all_later_episodes():
    left, right = gym.make(SMALL), gym.make(SMALL)
    for env in (left, right):
        env.reset(seed=9)
    for _ in range(3):
        (_, a), (_, b) = left.reset(), right.reset()
        assert a["view"] == b["view"]
    _, again = left.reset(seed=9)
    _, first = right.reset(seed=9)
    assert again["view"] == first["view"] != a["view"]


def test_two_schedulers_see_the_same_jobs():
    seen = []
    for decide in (first_stage, lambda info: np.array([info["view"].schedulable[-1].row, 0])):
        env = gym.make(SMALL)
        play(env, decide, seed=4)
        done = env.unwrapped.jobs_done()
        done.sort(order="job")
        seen.append(done[["job", "template", "arrival_ms"]].tolist())
    assert seen[0] == seen[1]


def test_oldest_jobs_are_kept_where_there_is_no_room():
    env = gym.make(SMALL, num_executors=2, max_jobs=3, max_stages=40)
    flagged = 0
    for observation, _, info in play(env, first_stage)[:-1]:
        view = info["view"]
        shown = [job.id for job in view.jobs if any(stage.row for stage in job.stages)]
        assert shown == [job.id for job in view.jobs][: len(shown)] and 1 <= len(shown) <= 3
        assert all(stage.row for job in view.jobs[: len(shown)] for stage in job.stages if stage.remaining)
        assert info["truncated_view"] == (len(shown) < len(view.jobs))
        assert observation["job_mask"].sum() == len(shown)
        flagged += info["truncated_view"]
    assert flagged > 20


def test_edges_without_room_are_left_out_and_said(tmp_path, monkeypatch):
    stages = [Stage(1, {5: [1000]}, parents=tuple(range(i))) for i in range(10)]
    monkeypatch.setattr("netenvs.cjs.engines.load_workload", lambda name: make_job_set("dense", [Job("d", stages)]))
    env = gym.make("netenvs/CJS-v0", num_executors=2, num_jobs=1, max_stages=10)
    observation, info = env.reset(seed=0)
    assert info["truncated_view"] and observation["edge_mask"].sum() == 20 < 45


def test_netllm_draws_the_published_jobs(netllm_tpch):
    env = gym.make(SMALL, workload="tpch", rng="netllm")
    env.reset(seed=3)
    reference = ReferenceSimulator(load_workload("tpch"), num_executors=10, num_jobs=20, rng="netllm")
    reference.reset(3)
    assert isinstance(env.unwrapped.engine, SimpyEngine)
    (simulator,) = env.unwrapped.engine.simulators
    assert [job.arrival_ms for job in simulator.jobs] == [job.arrival_ms for job in reference.jobs]
    assert env.unwrapped.shared_random.getstate() == reference.shared_random.getstate()
    env.reset()
    assert [job.arrival_ms for job in simulator.jobs] != [job.arrival_ms for job in reference.jobs]


def test_a_simpy_engine_runs_other_rules():
    """What ``netenvs.cjs.reference`` offers to subclasses works inside the environment, too."""

    class Slow(ReferenceSimulator):
        def task_duration(self, executor, stage, task):
            return 2 * super().task_duration(executor, stage, task)

    env = gym.make(SMALL, engine="simpy").unwrapped
    usual = play(env, first_stage)[-1][2]["mean_jct_s"]
    env.engine.simulators = [Slow(env.jobs, env.options, record=False)]
    assert play(env, first_stage)[-1][2]["mean_jct_s"] > 1.5 * usual


@pytest.mark.filterwarnings("ignore:.*render_mode=:UserWarning")  # Gymnasium's own, of the same mistake
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"workload": "tpch2"}, "tpch"),
        ({"num_executors": 0}, "num_executors must be a whole number from 1 up, not 0"),
        ({"num_executors": 2.5}, "num_executors"),
        ({"num_jobs": -1}, "num_jobs"),
        ({"num_jobs": None}, "time_limit_ms"),
        ({"mean_interarrival_ms": 0}, "mean_interarrival_ms must be a number above 0"),
        ({"mean_interarrival_ms": float("nan")}, "mean_interarrival_ms"),
        ({"moving_delay_ms": -1}, "moving_delay_ms must be a number from 0 up"),
        ({"warmup_delay_ms": "1"}, "warmup_delay_ms"),
        ({"beta": float("inf")}, "beta"),
        ({"time_limit_ms": 0}, "time_limit_ms"),
        ({"rng": "netlm"}, "netllm"),
        ({"engine": "numba"}, "fast"),
        ({"engine": "fast", "rng": "netllm"}, "engine='fast' cannot follow rng='netllm'"),
        ({"observation": "dict"}, "padded"),
        ({"max_jobs": 0}, "max_jobs"),
        ({"max_stages": 3}, "max_stages=3 has no room for a job of synthetic"),
        ({"work_conserving": 1}, "work_conserving must be True or False"),
        ({"work_conserving": True, "moving_delay_ms": 0}, "moving_delay_ms above 0"),
        ({"render_mode": "svg"}, "render_mode"),
        ({"rng": "netllm"}, "'tpch'"),
    ],
    ids=str,
)
def test_wrong_options_are_one_line(options, message):
    with pytest.raises(ValueError, match=message) as caught:
        gym.make("netenvs/CJS-v0", **options).reset(seed=0)
    assert "\n" not in str(caught.value)


def test_wrong_steps():
    env = gym.make(SMALL).unwrapped
    with pytest.raises(ValueError, match="call reset"):
        env.step(np.array([0, 0]))
    with pytest.raises(ValueError, match="there is nothing to render yet"):
        env.render()
    env.reset(seed=0)
    for wrong in (np.array([401, 0]), np.array([0, 10]), np.array([-1, 0]), 3, np.array([0.5, 0])):
        with pytest.raises(ValueError, match="action"):
            env.step(wrong)
    with pytest.raises(ValueError, match="render_mode='rgb_array'"):
        env.tasks()
    env = gym.make("netenvs/CJS-v0", num_jobs=1, num_executors=1).unwrapped
    play(env, first_stage)
    with pytest.raises(ValueError, match="the episode is over"):
        env.step(np.array([0, 0]))


@pytest.mark.parametrize("engine", ["fast", "simpy"])
def test_an_observation_that_is_changed_changes_nothing(engine):
    env, other = gym.make(SMALL, engine=engine).unwrapped, gym.make(SMALL, engine=engine).unwrapped
    observation, _ = env.reset(seed=0)
    other.reset(seed=0)
    observation["action_mask"][:] = 1
    (*_, left), (*_, right) = env.step([300, 9]), other.step([300, 9])
    assert left["invalid_action"] and left["view"] == right["view"]
    tasks = gym.make(SMALL, engine=engine, render_mode="rgb_array").unwrapped
    with pytest.raises(ValueError, match="call reset"):
        tasks.tasks()
    play(tasks, first_stage)
    kept, copy = tasks.tasks(), tasks.tasks().copy()
    play(tasks, first_stage, seed=1)
    assert np.array_equal(kept, copy)


def test_whole_numbers_of_numpy_are_whole_numbers():
    env = gym.make(SMALL, num_executors=np.int64(3), num_jobs=np.int32(2), max_stages=np.int64(50)).unwrapped
    assert env.action_space.nvec.tolist() == [51, 3]


def test_nobody_is_asked_where_all_choices_are_hidden():
    from agents.cjs import Decision, Scheduler

    class Smallest(Scheduler):
        def decide(self, view):
            assert all(stage.schedulable and stage.row for stage in view.schedulable)
            return Decision(min(view.schedulable, key=lambda s: s.job.remaining_work_ms), view.committable)

    env = gym.make("netenvs/CJS-v0", num_executors=50, num_jobs=40, max_jobs=1, max_stages=40)
    policy, hidden = Smallest(), []

    def decide(info):
        hidden.append(not info["view"].schedulable)
        return policy.act(None, info)

    assert play(env, decide)[-1][2]["jobs_done"] == 40
    assert any(hidden)


def test_wrong_vector_arguments():
    for arguments, message in (
        ({"num_envs": 0}, "num_envs"),
        ({"num_envs": 2, "max_episode_steps": 5}, "max_episode_steps"),
        ({"num_envs": 2, "render_mode": "ansi"}, "does not render"),
        ({"num_envs": 2, "autoreset_mode": "never"}, "autoreset_mode"),
    ):
        with pytest.raises(ValueError, match=message):
            gym.make_vec(SMALL, vectorization_mode="vector_entry_point", **arguments)
    env = gym.make_vec(SMALL, num_envs=3)
    with pytest.raises(ValueError, match="reset"):
        env.step(np.zeros((3, 2), np.int64))
    with pytest.raises(ValueError, match="seed has 2 entries for 3 rows"):
        env.reset(seed=[1, 2])
    env.reset(seed=0)
    with pytest.raises(ValueError, match=r"action 10 \(component 1, row 1\) is not in"):
        env.step(np.array([[0, 0], [0, 10], [0, 0]]))


@pytest.mark.parametrize("engine", ["fast", "simpy"])
def test_vector_views_are_those_of_single_environments(engine):
    rows = gym.make_vec(SMALL, num_envs=3, engine=engine)
    rows.reset(seed=20)
    singles = [gym.make(SMALL, engine=engine) for _ in range(3)]
    infos = [single.reset(seed=20 + i)[1] for i, single in enumerate(singles)]
    for _ in range(40):
        views = [rows.unwrapped.shared_info["clusters"].view(row) for row in range(3)]
        assert views == [info["view"] for info in infos]
        actions = np.array([first_stage(info) for info in infos])
        rows.step(actions)
        infos = [single.step(action)[-1] for single, action in zip(singles, actions, strict=True)]


@pytest.mark.parametrize("engine", ["fast", "simpy"])
def test_a_view_stays_as_it_is(engine):
    env = gym.make(SMALL, engine=engine)
    _, info = env.reset(seed=0)
    view, copy = info["view"], pickle.loads(pickle.dumps(info["view"]))
    assert isinstance(view, ClusterView) and view == copy
    for _ in range(5):
        *_, info = env.step(first_stage(info))
    assert view == copy != info["view"]
    with pytest.raises(ValueError, match="read-only"):
        view.stage_array["remaining"][0] = 1


def test_views_are_read_like_prose(netllm_tpch):
    env = gym.make(SMALL, workload="tpch")
    _, info = env.reset(seed=0)
    view = info["view"]
    (job,) = view.jobs
    assert repr(view) == "<ClusterView at 0.000 s: 1 jobs, 10 executors on offer>"
    assert (view.now_s, view.committable, view.source, view.source_stage) == (0.0, 10, None, None)
    assert repr(job).startswith("job 0 (") and repr(job.stages[1]) == "stage 1 of job 0"
    template = env.unwrapped.jobs.template(job.template)
    assert job.name == template.name
    for stage in job.stages:
        assert [parent.id for parent in stage.parents] == [p for p, c in template.edges if c == stage.id]
        assert [child.id for child in stage.children] == [c for p, c in template.edges if p == stage.id]
        assert stage.critical_path_ms == stage.rough_ms + max(
            (child.critical_path_ms for child in stage.children), default=0.0
        )
    assert view.schedulable == [stage for stage in job.stages if stage.schedulable]
    while view.source is None:
        *_, info = env.step(first_stage(info))
        view = info["view"]
    assert view.source is view.jobs[0] and info["source_job"] == 0


def test_rendering():
    env = gym.make(SMALL, render_mode="rgb_array")
    play(env, first_stage)
    assert env.render().std() > 10
    tasks = env.unwrapped.tasks()
    assert len(tasks) == sum(
        env.unwrapped.jobs.template(done["template"]).num_tasks.sum() for done in env.unwrapped.jobs_done()
    )
    assert len(env.unwrapped.episode_figure().axes) >= 2
    env = gym.make(SMALL, render_mode="ansi")
    env.reset(seed=0)
    assert "1 job" in env.render() and "10" in env.render()


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
    from netenvs.cjs import rules

    env = gym.make_vec("netenvs/CJS-v0", num_envs=1, num_jobs=10_000, autoreset_mode="disabled")
    env.reset(seed=0)
    clusters = env.unwrapped.engine.clusters
    sizes = []
    while not clusters.batch.state["terminated"][0]:
        for _ in range(2000):
            if clusters.batch.state["terminated"][0]:
                break
            env.step(env.unwrapped.engine.decide(rules.FAIR))
        sizes.append(clusters.nbytes - clusters.batch.job_log.nbytes)
    assert clusters.batch.state["num_done"][0] == 10_000
    assert sizes[-1] <= 2 * sizes[len(sizes) // 10] and sizes[-1] < 2e6


def test_deadlock_names_the_state(monkeypatch):
    """If nothing visible can be chosen and nothing will happen, even the environment has no way out."""
    clusters = gym.make(SMALL, num_executors=2, num_jobs=1).unwrapped
    clusters.reset(seed=0)
    clusters.engine.action_mask[0, 1:401] = 0
    clusters.engine.action_mask[0, 0] = 1
    with pytest.raises(DeadlockError, match=r"at 0\.000 s.*1 jobs are unfinished"):
        clusters.step(np.array([0, 0]))
