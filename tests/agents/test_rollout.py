"""Playing episodes: the same one at a time and many at once, and one line for what goes wrong."""

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode

from agents.policy import BatchPolicy, Policy, PolicyError, load_policy
from agents.rollout import EpisodeSpec, binds, environment_options, play

ABR = "netenvs/ABR-v0"


class ByBuffer(BatchPolicy):
    """A batch rule without state."""

    def act_batch(self, observations, infos):
        return (infos["buffer_s"] // 4).astype(int).clip(0, 5)


class Noisy(BatchPolicy):
    """Random choices, from one generator a row."""

    def __init__(self):
        self.rngs = {}

    def reset_rows(self, rows, seeds):
        for row, seed in zip(rows.tolist(), seeds, strict=True):
            self.rngs[row] = np.random.default_rng(seed)

    def act_batch(self, observations, infos):
        return np.array([self.rngs[row].integers(6) for row in infos["row"].tolist()])


class Single(Policy):
    """A wrapped batch policy that does not offer batches."""

    def __init__(self, batch):
        self.batch = batch

    def reset(self, seed=None):
        self.batch.reset(seed)

    def act(self, observation, info):
        return self.batch.act(observation, info)


def same(left, right):
    assert len(left) == len(right)
    for a, b in zip(left, right, strict=True):
        assert a.spec == b.spec and a.truncated == b.truncated
        assert np.array_equal(a.rewards, b.rewards) and np.array_equal(a.actions, b.actions)
        assert set(a.columns) == set(b.columns)
        assert all(np.array_equal(a.columns[name], b.columns[name]) for name in a.columns)


SPECS = [EpisodeSpec(seed=10 + i, policy_seed=i % 3, options={"trace": i % 4} if i % 2 else {}) for i in range(9)]


@pytest.mark.parametrize("policy", [ByBuffer, Noisy])
@pytest.mark.parametrize("num_envs", [1, 2, 4, 9, 64])
def test_results_do_not_depend_on_the_batch(policy, num_envs):
    options = {"delay_noise": True}
    one_by_one = play(Single(policy()), ABR, SPECS, options)
    same(play(policy(), ABR, SPECS, options, num_envs=num_envs), one_by_one)


def test_an_episode_is_what_its_spec_says():
    (episode,) = play(ByBuffer(), ABR, [EpisodeSpec(seed=5, options={"trace": 3})])
    env = gym.make(ABR)
    _, info = env.reset(seed=5, options={"trace": 3})
    rewards, buffers = [], []
    for action in episode.actions:
        assert action == np.clip(info["buffer_s"] // 4, 0, 5)
        _, reward, terminated, _, info = env.step(action)
        rewards.append(reward)
        buffers.append(info["buffer_s"])
    assert terminated and not episode.truncated
    assert episode.rewards.tolist() == rewards and episode.rewards.dtype == np.float64
    assert episode.total_reward == pytest.approx(sum(rewards))
    assert episode.columns["buffer_s"].tolist() == buffers
    assert set(episode.columns["trace"]) == {3} and episode.columns["chunk"].tolist() == list(range(2, 49))


def test_policies_get_their_own_seed():
    specs = [EpisodeSpec(1, 8), EpisodeSpec(2, 8), EpisodeSpec(1), EpisodeSpec(1, 1), EpisodeSpec(1, 9)]
    first, second, default, one, nine = (episode.actions.tolist() for episode in play(Noisy(), ABR, specs))
    assert first == second != nine
    assert default == one, "no policy seed: the environment's"


def test_no_episodes():
    assert play(ByBuffer(), ABR, []) == play(Single(ByBuffer()), ABR, []) == []


def test_callback_sees_every_episode_once():
    for policy in (ByBuffer(), Single(ByBuffer())):
        seen = []
        played = play(policy, ABR, SPECS, num_envs=4, on_episode=seen.append)
        assert sorted(map(id, seen)) == sorted(map(id, played))


class Countdown(gym.Env):
    """Ends after 2 + seed % 5 steps; the reward tells the seed, the step and the action."""

    observation_space = gym.spaces.Dict({"left": gym.spaces.Box(0, 9, (1,), np.int64)})
    action_space = gym.spaces.Discrete(6)

    def reset(self, *, seed=None, options=None):
        self.seed, self.left = seed, 2 + seed % 5
        return self._observation(), {"left": self.left}

    def step(self, action):
        self.left -= 1
        reward = 100.0 * self.seed + 10 * self.left + action
        return self._observation(), reward, self.left == 0, False, {"left": self.left}

    def seeds_left(self, row):
        assert row == 0
        return self.seed, self.left

    def _observation(self):
        return {"left": np.array([self.left])}


class Countdowns(gym.vector.VectorEnv):
    """Besides the number, a row shows a graph with as many nodes as steps are left, and a mask."""

    metadata = {"autoreset_mode": AutoresetMode.DISABLED}  # noqa: RUF012

    def __init__(self, num_envs, autoreset_mode):
        assert autoreset_mode == "disabled"
        self.num_envs, self.rows = num_envs, [Countdown() for _ in range(num_envs)]
        self.single_action_space = Countdown.action_space
        self.action_space = gym.vector.utils.batch_space(self.single_action_space, num_envs)

    def reset(self, *, seed, options):
        for row in np.flatnonzero(options["reset_mask"]):
            self.rows[row].reset(seed=seed[row])
        return self._result()

    def step(self, actions):
        assert all(row.left > 0 for row in self.rows), "a finished row is stepped"
        steps = [row.step(action) for row, action in zip(self.rows, actions, strict=True)]
        rewards, terminated = np.array([s[1] for s in steps]), np.array([s[2] for s in steps])
        observations, infos = self._result()
        return observations, rewards, terminated, np.zeros(self.num_envs, dtype=bool), infos

    def seeds_left(self, row):
        return self.rows[row].seeds_left(0)

    def _result(self):
        left = np.array([row.left for row in self.rows])
        graphs = tuple(gym.spaces.GraphInstance(np.zeros((steps, 1)), None, None) for steps in left)
        masks = np.repeat(left[:, None] > 0, 6, axis=1)
        return {"left": left[:, None], "graph": graphs}, {"left": left, "_left": left > 0, "action_mask": masks}


@pytest.fixture
def countdown():
    gym.register("netenvs-toy/Countdown-v0", entry_point=Countdown, vector_entry_point=Countdowns)
    yield "netenvs-toy/Countdown-v0"
    gym.registry.pop("netenvs-toy/Countdown-v0")


@pytest.mark.parametrize("num_envs", [1, 2, 3, 5, 20])
@pytest.mark.parametrize("seeds", [range(13), [4, 0, 0, 0, 0, 0, 0, 4, 3], [0, 4], [4, 4, 4]])
def test_episodes_of_different_lengths(seeds, num_envs, countdown):
    """Rows begin their next episode while others play on."""
    specs = [EpisodeSpec(seed, policy_seed=i) for i, seed in enumerate(seeds)]
    batched = play(Noisy(), countdown, specs, num_envs=num_envs)
    same(batched, play(Single(Noisy()), countdown, specs))
    for episode in batched:
        length = 2 + episode.spec.seed % 5
        left = np.arange(length - 1, -1, -1)
        assert episode.columns["left"].tolist() == left.tolist()
        assert episode.rewards.tolist() == (100 * episode.spec.seed + 10 * left + episode.actions).tolist()


@pytest.mark.parametrize("num_envs", [1, 3, 20])
def test_what_is_collected_belongs_to_the_episode(num_envs, countdown):
    """Whichever row it was played in, and before the row goes on."""
    specs = [EpisodeSpec(seed) for seed in (4, 0, 7, 2, 0, 9, 3)]
    seen = []

    def collect(world, row):
        return world.seeds_left(row)

    for policy in (Noisy(), Single(Noisy())):
        played = play(policy, countdown, specs, num_envs=num_envs, on_episode=seen.append, collect=collect)
        assert [episode.collected for episode in played] == [(spec.seed, 0) for spec in specs]
    assert sorted(map(id, seen[7:])) == sorted(map(id, played)), "on_episode sees what was collected"
    assert all(episode.collected is None for episode in play(Noisy(), countdown, specs))


def test_batches_of_dicts_graphs_and_masks_are_those_of_the_live_rows(countdown):
    sizes = []

    class Looks(BatchPolicy):
        def act_batch(self, observations, infos):
            left = observations["left"][:, 0].tolist()
            assert [graph.nodes.shape for graph in observations["graph"]] == [(steps, 1) for steps in left]
            assert infos["left"].tolist() == left and infos["action_mask"].shape == (len(left), 6)
            sizes.append(len(left))
            return np.zeros(len(left), dtype=int)

    played = play(Looks(), countdown, [EpisodeSpec(seed) for seed in (4, 0, 1)])
    assert sizes == [3, 3, 2, 1, 1, 1], "finished rows are not shown"
    assert all(list(episode.columns) == ["left"] for episode in played), "scalars only"


def test_sequential_policies_play_one_stream_in_order():
    log = []

    class Stream(BatchPolicy):
        sequential = True

        def reset(self, seed=None):
            log.append(("reset", seed))

        def act_batch(self, observations, infos):
            return np.zeros(len(observations), dtype=int)

        def finish(self, observation, info):
            log.append(("finish", info["chunk"]))

    play(Stream(), ABR, [EpisodeSpec(1, policy_seed=7), EpisodeSpec(2, policy_seed=8)])
    assert log == [("reset", 7), ("finish", 48), ("reset", None), ("finish", 48)]


def test_privileged_policies_are_bound_before_each_reset():
    log = []

    class Peeks(BatchPolicy):
        privileged = True

        def bind(self, env):
            log.append(("bind", env.unwrapped.simulator.batch.session["trace"][0]))

        def reset(self, seed=None):
            log.append(("reset", seed))

        def act_batch(self, observations, infos):
            return np.zeros(len(observations), dtype=int)

    play(Peeks(), ABR, [EpisodeSpec(1, options={"trace": 5}), EpisodeSpec(2, options={"trace": 6})])
    assert log == [("bind", 5), ("reset", 1), ("bind", 6), ("reset", 2)]


def test_a_policy_with_a_bind_of_its_own_plays_alone_and_is_bound():
    """Not privileged: it takes the environment's random stream, say, and no knowledge of the future."""
    log = []

    class Curious(BatchPolicy):
        def bind(self, env):
            log.append(("bind", env.unwrapped.simulator.batch.session["trace"][0]))

        def reset_rows(self, rows, seeds):
            log.append(("reset", seeds[0]))

        def act_batch(self, observations, infos):
            return np.zeros(len(observations), dtype=int)

    class Plain(BatchPolicy):
        def act_batch(self, observations, infos):
            return np.zeros(len(observations), dtype=int)

    specs = [EpisodeSpec(1, options={"trace": 5}), EpisodeSpec(2, options={"trace": 6})]
    same(play(Curious(), ABR, specs), play(Plain(), ABR, specs))
    assert log == [("bind", 5), ("reset", 1), ("bind", 6), ("reset", 2)]
    assert not binds(Plain())
    plain = Plain()
    plain.bind = print
    assert binds(Curious()) and binds(plain)


def test_a_bind_that_raises_is_one_line():
    class Stuck(Policy):
        def bind(self, env):
            raise AttributeError("no such thing")

    with pytest.raises(PolicyError, match=r"^Stuck: seed 4, decision 0: AttributeError: no such thing \("):
        play(Stuck(), ABR, [EpisodeSpec(4)])


# --- observation options ---


def test_observation_options_reach_the_environment():
    shapes = set()

    class Long(BatchPolicy):
        observation_options = {"history": 12}  # noqa: RUF012

        def act_batch(self, observations, infos):
            shapes.add(observations.shape)
            return np.zeros(len(observations), dtype=int)

    play(Long(), ABR, [EpisodeSpec(0)], {"history": 7, "qoe": "log"})
    assert shapes == {(1, 6, 12)}
    assert environment_options(Long(), {"history": 7, "qoe": "log"}) == {"history": 12, "qoe": "log"}


@pytest.mark.parametrize("option", ["qoe", "traces", "rtt_ms", "preset", "delay_noise", "action_mode", "start"])
def test_options_that_change_the_task_are_refused(option):
    class Cheat(Policy):
        observation_options = {"history": 8, option: 1}  # noqa: RUF012

        def act(self, observation, info):
            return 0

    with pytest.raises(PolicyError, match=f"Cheat: observation_options may not set {option}") as caught:
        play(Cheat(), ABR, [EpisodeSpec(0)])
    assert "\n" not in str(caught.value)


# --- what goes wrong ---


def failing(behaviour, at_chunk=4, trace=1):
    """A batch policy that misbehaves in one row, at one decision, and its one-at-a-time twin."""

    class Fails(BatchPolicy):
        name = "fails"

        def act_batch(self, observations, infos):
            actions = np.zeros(len(observations), dtype=object)
            bad = (infos["chunk"] == at_chunk) & (infos["trace"] == trace)
            if bad.any():
                actions[bad] = behaviour()
            return actions if bad.any() else actions.astype(int)

    return [Fails(), Single(Fails())]


def raises():
    raise RuntimeError("lost\nthe  thread")


@pytest.mark.parametrize(
    ("behaviour", "message"),
    [
        (raises, "RuntimeError: lost the thread"),
        (lambda: 6, "ValueError: .*action.* 6 .*"),
        (lambda: -1, "ValueError: .*-1 "),
        (lambda: 0.5, "Error: "),
        (lambda: None, "Error: "),
        (lambda: "high", "Error: "),
        (lambda: np.nan, "Error: "),
    ],
    ids=["raises", "too high", "negative", "fraction", "None", "text", "NaN"],
)
@pytest.mark.parametrize("kind", [0, 1], ids=["batched", "one by one"])
def test_failures_are_one_line(kind, behaviour, message):
    """Policy, episode, decision and cause; decision 3 sees four chunks played."""
    policy = failing(behaviour)[kind]
    policy.name = "fails"
    specs = [EpisodeSpec(seed=20 + i, options={"trace": i}) for i in range(3)]
    with pytest.raises(PolicyError, match=message) as caught:
        play(policy, ABR, specs)
    text = str(caught.value)
    assert "\n" not in text
    assert text.startswith("fails: trace ") and ", decision 3: " in text


class Refuses:
    """A witness that does not get on with what it sees."""

    def __init__(self, at_end):
        self.at_end = at_end

    def decide(self, decisions):
        if not self.at_end:
            raise ValueError("refused")
        return decisions.actions

    def end(self, episode, observation):
        raise ValueError("refused")


@pytest.mark.parametrize("at_end", [False, True])
@pytest.mark.parametrize("policy", [ByBuffer(), Single(ByBuffer())], ids=["batched", "one by one"])
def test_policies_are_not_blamed_for_what_a_witness_raises(policy, at_end):
    with pytest.raises(ValueError, match=r"^refused$"):
        play(policy, ABR, SPECS[:2], witness=Refuses(at_end))


@pytest.mark.parametrize("kind", [0, 1], ids=["batched", "one by one"])
def test_the_episode_with_the_bad_action_is_named(kind):
    policy = failing(lambda: 9)[kind]
    specs = [EpisodeSpec(seed=20 + i, options={"trace": i}) for i in range(3)]
    with pytest.raises(PolicyError, match="trace 1, seed 21, decision 3"):
        play(policy, ABR, specs)


@pytest.mark.parametrize("answer", [2, [1, 2], [[1], [2], [3]], None, [0.5, 1, 1], [np.nan, 0, 0]], ids=str)
def test_batches_of_a_wrong_shape(answer):
    class Wrong(BatchPolicy):
        def act_batch(self, observations, infos):
            return answer

    with pytest.raises(PolicyError, match="Wrong: seed 0, decision 0: "):
        play(Wrong(), ABR, [EpisodeSpec(i) for i in range(3)])


def test_resets_that_raise():
    class Single_(Policy):
        name = "stuck"

        def reset(self, seed=None):
            raise KeyError("x")

    class Batch(BatchPolicy):
        name = "stuck"

        def reset_rows(self, rows, seeds):
            raise KeyError("x")

    for policy in (Single_(), Batch()):
        with pytest.raises(PolicyError, match="stuck: seed 4, decision 0: KeyError"):
            play(policy, ABR, [EpisodeSpec(4), EpisodeSpec(5)])


def test_interrupts_are_not_swallowed():
    class Stop(BatchPolicy):
        def act_batch(self, observations, infos):
            raise KeyboardInterrupt

    for policy in (Stop(), Single(Stop())):
        with pytest.raises(KeyboardInterrupt):
            play(policy, ABR, [EpisodeSpec(0)])


@pytest.mark.parametrize("policy", [ByBuffer(), Single(ByBuffer())])
def test_bad_environments_are_value_errors(policy):
    with pytest.raises(ValueError, match="unknown preset"):
        play(policy, ABR, [EpisodeSpec(0)], {"preset": "no"})
    with pytest.raises(ValueError, match=r"options\['trace'\]"):
        play(policy, ABR, [EpisodeSpec(0, options={"trace": 1000})])
    with pytest.raises(ValueError, match="reset option"):
        play(policy, ABR, [EpisodeSpec(0, options={"no": 1})])


def test_registered_policies_give_the_same_episodes_either_way():
    for name in ("bba", "robust-mpc", "throughput", "bola"):
        specs = [EpisodeSpec(seed=i, options={"trace": i}) for i in range(6)]
        batched = play(load_policy(name, "abr"), ABR, specs, num_envs=4)
        same(batched, play(Single(load_policy(name, "abr")), ABR, specs))


class BadBatch(BatchPolicy):
    def __init__(self, actions):
        self.actions = actions

    def act_batch(self, observations, infos):
        return self.actions


@pytest.mark.parametrize("actions", [None, [0.0, float("nan")], [0.5, 0.5], [1], "up", [[0, 1]]])
@pytest.mark.filterwarnings("error")
def test_a_batch_of_garbage_says_what_is_wanted(actions):
    with pytest.raises(PolicyError, match=r"act_batch must return int64 \(2,\), one action a live row") as caught:
        play(BadBatch(actions), "netenvs/ABR-v0", [EpisodeSpec(seed=0), EpisodeSpec(seed=1)])
    assert "\n" not in str(caught.value)


def test_a_policy_cannot_change_what_is_recorded():
    class Liar(Policy):
        def act(self, observation, info):
            info["rebuffer_s"] = 0.0
            info.pop("delay_ms")
            return 5

    class Honest(Policy):
        def act(self, observation, info):
            return 5

    lies, truth = (play(policy, "netenvs/ABR-v0", [EpisodeSpec(seed=0)])[0] for policy in (Liar(), Honest()))
    for name in ("rebuffer_s", "delay_ms"):
        assert np.array_equal(lies.columns[name], truth.columns[name])


def test_an_error_names_the_line_of_the_policy(tmp_path):
    file = tmp_path / "mine.py"
    file.write_text(
        "from agents.policy import Policy\n\n\nclass Mine(Policy):\n    def act(self, o, i):\n        raise KeyError\n"
    )
    with pytest.raises(PolicyError, match=r"KeyError: +\(mine.py:6\)$"):
        play(load_policy(f"{file}:Mine"), "netenvs/ABR-v0", [EpisodeSpec(seed=0)])
