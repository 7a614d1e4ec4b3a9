"""Same seed, same bits: tiny trainings of everything, and short plays of every policy, as digests to compare.

    python tests/support/same_bits.py > before.txt
    (change the code)
    python tests/support/same_bits.py > after.txt; diff before.txt after.txt

The tree that is judged is that of the working directory, so that this file may lie elsewhere; it uses command lines
and what is promised to stay, and runs on older and younger trees. Lines are equal on one machine, with the same
libraries. Each job is a process of its own with one thread, and sees none of the installed data unless its name begins
with ``data``. ``--only PATTERN`` (a regular expression) runs the jobs whose names match; ``--list`` prints the names.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import runpy
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import tyro

os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", MKL_NUM_THREADS="1", MPLBACKEND="agg")
sys.path.insert(0, os.getcwd())

Lines = Iterator[tuple[str, str]]
JOBS: dict[str, Callable[[Path], Lines]] = {}

RULES = {
    "abr": "random constant bba bola throughput netllm-mpc robust-mpc",
    "cjs": "random fifo fifo-full fair weighted-fair sjf-cp cpt srpt capped-srpt",
    "vp": "static velocity velocity-unwrapped linear-regression linear-regression-unwrapped damped-velocity lad "
    "neighbours saliency-peak",
    "vp-streaming": "random-tiles whole-sphere static-buffer static-rate line-rate neighbours-rate crowd-rate "
    "oracle-viewport",
}
LEARNED = {
    "abr": "stochastic-mpc oracle pensieve pensieve(mode=sampled) genet udr netllm mamba4net",
    "cjs": "decima decima(mode=sampled) netllm mamba4net",
    "vp": "track viewers netllm mamba4net",
    "vp-streaming": "viewers-rate",
}
PLAYED = {
    "abr": ("netenvs/ABR-v0", {}),
    "cjs": ("netenvs/CJS-v0", {"num_executors": 5, "num_jobs": 6}),
    "vp": ("netenvs/VP-v0", {}),
    "vp-streaming": ("netenvs/VPStreaming-v0", {}),
}
ON_DATA = {
    "abr": ("netenvs/ABR-v0", {"traces": "fcc-test-clean"}, "bba robust-mpc pensieve genet-released netllm mamba4net"),
    "cjs": (
        "netenvs/CJS-v0",
        {"workload": "tpch", "num_executors": 10, "num_jobs": 8},
        "fair capped-srpt decima-released decima netllm mamba4net",
    ),
    "vp": ("netenvs/VP-v0", {"dataset": "jin2022"}, "velocity lad neighbours saliency-peak track viewers mamba4net"),
    "vp-streaming": ("netenvs/VPStreaming-v0", {"dataset": "wu2017"}, "static-rate neighbours-rate crowd-rate"),
}
COMPARED = {
    "abr": "--policies bba,robust-mpc --episodes 3",
    "cjs": "--policies fair,capped-srpt --episodes 3 --set num_jobs=5",
    "vp": "--policies static,velocity --episodes 3",
    "vp-streaming": "--policies static-rate,static-buffer --episodes 2",
}
STEPPED = {
    "netenvs/ABR-v0": [{}, {"qoe": "log", "buffer_cap_s": 20.0}],
    "netenvs/CJS-v0": [{"num_jobs": 5}, {"engine": "simpy", "num_jobs": 5}, {"observation": "graph", "num_jobs": 5}],
    "netenvs/CJS-small-v0": [{}],
    "netenvs/VP-v0": [{}, {"mode": "replay", "stride_s": 4.0}],
    "netenvs/VPStreaming-v0": [{}],
}
TEACHING = {
    "abr": ["warm_up=1", "improve=1", "sessions=8", "traces=2", "validation=4"],
    "cjs": ["warm_up=2", "improve=1", "workload=synthetic", "sizes=4x3,6x3", "episodes=4", "validation=2", "judged=1"],
    "vp": ["dataset=synthetic", "step=20"],
}
STUDYING = {
    "abr": ["sessions=8", "traces=2", "validation=4"],
    "cjs": ["workload=synthetic", "sizes=4x3", "episodes=4", "validation=2", "judged=2", "samples=2"],
    "vp": ["dataset=synthetic", "step=20"],
}
POOLED = {
    "abr": "--policies bba,random --episodes 3 --noise 0.25",
    "cjs": "--policies fair,random --episodes 2 --noise 0.3 --set num_jobs=3 --set num_executors=4",
    "vp": "--policies velocity,static --episodes 6",
}


def job(name: str) -> Callable[[Callable[[Path], Lines]], Callable[[Path], Lines]]:
    """Register a job: a function of a scratch folder that yields (name of the line, what it says)."""

    def add(run: Callable[[Path], Lines]) -> Callable[[Path], Lines]:
        JOBS[name] = run
        return run

    return add


# --- what is printed ---


def digest(arrays: dict[str, object]) -> str:
    """sha256 of arrays in the order of their names: name, type, shape and bytes of each."""
    import numpy as np

    found = hashlib.sha256()
    for name in sorted(arrays):
        values = np.ascontiguousarray(arrays[name])
        found.update(f"{name} {values.dtype} {values.shape}".encode())
        found.update(values.tobytes())
    return found.hexdigest()


def weights(folder: Path) -> str:
    """Digest of the weights in a folder, and, after a slash, of the curve of their training where there is one."""
    from safetensors import safe_open

    arrays: dict[str, object] = {}
    for file in sorted(folder.rglob("*.safetensors")):
        with safe_open(file, "pt") as stored:
            for name in stored.keys():  # noqa: SIM118  (not a mapping)
                arrays[f"{file.relative_to(folder)} {name}"] = _bytes_of(stored.get_tensor(name))
    if not arrays:
        raise FileNotFoundError(f"{folder}: no weights")
    curve = folder / "curve.jsonl"
    return digest(arrays) + (f"/{hashlib.sha256(curve.read_bytes()).hexdigest()[:12]}" if curve.exists() else "")


def _bytes_of(tensor: object) -> object:
    import torch

    return tensor.view(torch.int16).numpy() if tensor.dtype == torch.bfloat16 else tensor.numpy()  # type: ignore[attr-defined]


def command(module: str, *words: object) -> None:
    """Run a command line, ``python -m MODULE WORDS``, in this process; RuntimeError unless it succeeds."""
    sys.argv = [module, *map(str, words)]
    try:
        runpy.run_module(module, run_name="__main__", alter_sys=True)
    except SystemExit as end:
        if end.code not in (0, None):
            raise RuntimeError(f"{module} ended with {end.code}") from None


def played(policy: str, task: str, env_id: str, options: dict, count: int) -> str:
    """Rewards of episodes, and a digest of all rewards, actions and columns."""
    from agents.policy import load_policy
    from agents.rollout import EpisodeSpec, play

    episodes = play(load_policy(policy, task), env_id, [EpisodeSpec(7 + i) for i in range(count)], options)
    arrays: dict[str, object] = {}
    for number, episode in enumerate(episodes):
        arrays.update({f"{number} rewards": episode.rewards, f"{number} actions": episode.actions})
        arrays.update({f"{number} {name}": values for name, values in episode.columns.items()})
    return f"{digest(arrays)} {' '.join(repr(float(episode.total_reward)) for episode in episodes)}"


# --- trainings ---


@job("pensieve")
def _pensieve(folder: Path) -> Lines:
    sizes = "--rows 32 --group 2 --batches 4 --epochs 2 --validate-every 2 --warm-up 1 --validation 1"
    command("agents.abr.pensieve", "--steps", 32 * 56 * 4, *sizes.split(), "--out", folder)
    yield "pensieve", weights(folder)


def _curriculum(method: str) -> Callable[[Path], Lines]:
    def run(folder: Path) -> Lines:
        sizes = "--pool 60 --rounds 1 --rows 32 --batches 4 --epochs 2 --validate-every 2"
        real = "--real-traces synthetic(count=8) --real-valid synthetic(count=4,seed=1)"
        words = ["--method", method, "--steps", 32 * 47 * 4, *sizes.split(), *real.split()]
        command("agents.abr.genet", *words, "--out", folder)
        yield method, weights(folder)

    return run


for _method in ("genet", "udr"):
    job(_method)(_curriculum(_method))


@job("stochastic-mpc")
def _stochastic_mpc(folder: Path) -> Lines:
    traces = "--traces synthetic(count=20,seed=1) --valid synthetic(count=10,seed=2)"
    command(
        "agents.abr.stochastic_mpc",
        *f"{traces} --sessions 20 --worlds 0 --steps 60 --batch-size 64 --hidden 64 --learning-rate 0.001".split(),
        *("--out", folder),
    )
    yield "stochastic-mpc", weights(folder)


DECIMA = "--iterations 4 --executors 3 4 --jobs 6 5 --sequences 2 --rollouts 2 --minibatch 64 --validation 2 --test 0"


@job("decima")
def _decima(folder: Path) -> Lines:
    words = f"--workload synthetic {DECIMA} --imitate 2 --validate-every 2 --entropy 0.01"
    command("agents.cjs.decima", *words.split(), "--out", folder)
    yield "decima", weights(folder)


@job("data/decima")
def _decima_released(folder: Path) -> Lines:
    words = f"--workload tpch --initial released {DECIMA} --imitate 0 --validate-every 2"
    command("agents.cjs.decima", *words.split(), "--out", folder)
    yield "data/decima released", weights(folder)


@job("lad")
def _lad(folder: Path) -> Lines:
    words = "--dataset synthetic(videos=4,users=6) --lags 3 --horizon 25 --step 15"
    command("agents.vp.lad", "--folder", folder, *words.split())
    yield "lad", weights(folder)


def _track(variant: str) -> Callable[[Path], Lines]:
    def run(folder: Path) -> Lines:
        words = f"--variant {variant} --dataset synthetic(videos=6,users=6) --epochs 2 --step 30 --hidden 6"
        command("agents.vp.track", *words.split(), "--out", folder)
        yield f"track {variant}", weights(folder)

    return run


for _variant in ("paper", "position-only", "recipe"):
    job(f"track/{_variant}")(_track(_variant))


@job("viewers")
def _viewers(folder: Path) -> Lines:
    words = "--dataset synthetic(videos=6,users=6) --epochs 2 --step 10 --batch-size 64 --hidden 12 --width 6 --heads 2"
    command("agents.vp.viewers", *words.split(), "--out", folder)
    yield "viewers", weights(folder)


# --- distillation ---


def _learned(kind: str, task: str, settings: list[str], folder: Path, *more: object) -> str:
    words: list[object] = [kind, "--task", task, "--out", folder, "--iterations", 2, "--steps", 2, "--batch", 4]
    for setting in settings:
        words += ["--set", setting]
    command("distill", *words, "--no-score", *more)
    return weights(folder)


def _llama(folder: Path) -> Path:
    import torch
    from transformers import AutoModel, LlamaConfig

    torch.manual_seed(0)
    sizes = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "vocab_size": 16}
    config = LlamaConfig(**sizes, num_attention_heads=4, num_key_value_heads=2)
    AutoModel.from_config(config).save_pretrained(folder)
    return folder


def _distillation(task: str) -> Callable[[Path], Lines]:
    def run(folder: Path) -> Lines:
        pool, teacher = folder / "pool", folder / "teacher"
        command("distill", "collect", "--task", task, "--out", pool, *POOLED[task].split())
        yield f"distill/{task} pool", weights(pool)
        yield f"distill/{task} teach", _learned("teach", task, TEACHING[task], teacher)
        llama = ("--backbone", _llama(folder / "llama"), "--lora-rank", 4)
        yield f"distill/{task} teach lora", _learned("teach", task, TEACHING[task], folder / "lora", *llama)
        from_pool = ("--recipe", "netllm", "--pool", pool)
        plain = [setting for setting in STUDYING[task] if "samples" not in setting]
        yield f"distill/{task} teach netllm", _learned("teach", task, plain, folder / "netllm", *from_pool)
        of = ("--teacher", teacher)
        yield f"distill/{task} student", _learned("distill", task, STUDYING[task], folder / "student", *of)
        anew = (*of, "--init", "random")
        yield f"distill/{task} student random", _learned("distill", task, STUDYING[task], folder / "random", *anew)
        paper = (*of, "--recipe", "paper", "--pool", pool)
        yield f"distill/{task} student paper", _learned("distill", task, STUDYING[task], folder / "paper", *paper)

    return run


for _task in POOLED:
    job(f"distill/{_task}")(_distillation(_task))


@job("distill/expert-values")
def _expert_values(folder: Path) -> Lines:
    words = "--task abr --policies bba --episodes 2 --expert-values"
    command("distill", "collect", "--out", folder, *words.split())
    yield "distill/expert-values pool", weights(folder)


# --- plays ---


def _stepped(env_id: str, variants: list[dict]) -> Callable[[Path], Lines]:
    def run(_: Path) -> Lines:
        import gymnasium as gym

        import netenvs  # noqa: F401

        for options in variants:
            env = gym.make(env_id, **options)
            env.action_space.seed(3)
            found, total = hashlib.sha256(), 0.0
            for seed in (1, 2):
                observation, _ = env.reset(seed=seed)
                over = False
                while not over:
                    _hash(found, observation)
                    action = env.action_space.sample()
                    observation, reward, terminated, truncated, _ = env.step(action)
                    total, over = total + float(reward), terminated or truncated
            env.close()
            said = " ".join(f"{name}={value}" for name, value in options.items())
            yield f"env/{env_id} {said}".strip(), f"{found.hexdigest()} {total!r}"

    return run


def _hash(found: object, value: object) -> None:
    import numpy as np

    if isinstance(value, dict):
        for name in sorted(value):
            found.update(str(name).encode())  # type: ignore[attr-defined]
            _hash(found, value[name])
    elif isinstance(value, tuple):
        for one in value:
            _hash(found, one)
    elif value is not None:
        found.update(np.ascontiguousarray(value).tobytes())  # type: ignore[attr-defined]


for _env_id, _variants in STEPPED.items():
    job(f"env/{_env_id.partition('/')[2]}")(_stepped(_env_id, _variants))


def _plays(label: str, task: str, policies: str, env_id: str, options: dict, count: int) -> Callable[[Path], Lines]:
    def run(_: Path) -> Lines:
        for policy in policies.split():
            yield f"{label} {policy}", played(policy, task, env_id, options, count)

    return run


for _task, (_env_id, _options) in PLAYED.items():
    for _kind, _policies in (("rules", RULES[_task]), ("learned", LEARNED[_task])):
        job(f"play/{_task}/{_kind}")(_plays(f"play/{_task}", _task, _policies, _env_id, _options, 2))
for _task, (_env_id, _options, _policies) in ON_DATA.items():
    job(f"data/{_task}")(_plays(f"data/{_task}", _task, _policies, _env_id, _options, 2))


def _compared(task: str, options: str) -> Callable[[Path], Lines]:
    def run(folder: Path) -> Lines:
        file = folder / "results.json"
        command("benchmarks.compare", "--task", task, "--out", folder, "--json", file, *options.split())
        for row in sorted(json.loads(file.read_text())["rows"], key=lambda row: row["policy"]):
            figures = [row["mean"], row["iqm"], *row["per_episode"]]
            terms = [f"{name}={value!r}" for name, value in sorted(row["terms"].items())]
            yield f"compare/{task} {row['policy']}", " ".join([*map(repr, figures), *terms])

    return run


for _task, _words in COMPARED.items():
    job(f"compare/{_task}")(_compared(_task, _words))


# --- the command ---


def forked(name: str, folder: Path) -> None:
    """One job in a process of its own, which has everything loaded; its errors become a line."""
    pid = os.fork()
    if pid:
        os.waitpid(pid, 0)
        return
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what commands print
    os.chdir(folder)
    try:
        for line, text in JOBS[name](folder / "out"):
            print(line.replace(" ", "_"), text, file=out, flush=True)
    except BaseException as error:
        traceback.print_exc()
        print(name, "FAILED", " ".join(f"{type(error).__name__}: {error}".split())[:300], file=out, flush=True)
    finally:
        sys.stderr.flush()
        os._exit(0)


@dataclass(frozen=True)
class Args:
    """This runs jobs, and prints for each what must stay the same, bit for bit."""

    only: str = ""
    """Only the jobs whose names match this pattern are run."""
    list: bool = False
    """The names of the jobs are printed, and nothing is run."""


def main() -> None:
    args = tyro.cli(Args, args=sys.argv[1:])
    names = [name for name in JOBS if re.search(args.only, name)]
    if args.list:
        print("\n".join(names))
        return
    import numba  # noqa: F401
    import torch
    import transformers  # noqa: F401

    import netenvs

    torch.set_num_threads(1)
    print(f"judged: {Path(netenvs.__file__).parent}", file=sys.stderr)
    data = os.environ.get("NETENVS_DATA")
    for name in names:
        started = time.monotonic()
        with tempfile.TemporaryDirectory() as folder:
            if not name.startswith("data"):
                os.environ["NETENVS_DATA"] = str(Path(folder) / "no-data")
            elif data is None:
                os.environ.pop("NETENVS_DATA", None)
            else:
                os.environ["NETENVS_DATA"] = data
            forked(name, Path(folder))
        print(f"{name}: {time.monotonic() - started:.1f} s", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
