"""README and documentation do what they say: every Python block runs, every command is one that its parser takes."""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import re
import runpy
import shlex
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import tyro

from agents.policy import load_policy
from agents.registry import registered
from agents.testing import check_policy
from netenvs import datasets
from netenvs.spec import split_specs

ROOT = Path(__file__).parents[1]
PAGES = ["README.md", "CONTRIBUTING.md", *(f"docs/{path.name}" for path in sorted((ROOT / "docs").glob("*.md")))]
PLAYED = {"abr": "bba", "cjs": "fair"}
"""A quick policy of a task, to be compared with that of a page."""
SMALL = {"cjs": {"num_executors": 5, "num_jobs": 4}}
"""Options that make a task's episodes short."""


class Block(NamedTuple):
    """A fenced block of a page."""

    language: str
    text: str
    line: int
    """Of its first line in the page, from 1."""
    after: str
    """The paragraph that follows."""


def blocks(page: str) -> list[Block]:
    """All fenced blocks of a page, in order."""
    text = (ROOT / page).read_text(encoding="utf-8")
    found = []
    for match in re.finditer(r"^```(\w*)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL):
        after = text[match.end() :].lstrip("\n").partition("\n\n")[0]
        found.append(Block(match[1], match[2], text.count("\n", 0, match.start(2)) + 1, after))
    return found


# Python


class Preparation(NamedTuple):
    """What a block needs besides the blocks before it on its page."""

    data: tuple[str, ...] = ()
    """Data sets that have to be installed."""
    modules: tuple[str, ...] = ()
    """Packages of an extra."""
    shorter: tuple[tuple[str, str], ...] = ()
    """Texts of the block that are replaced, so that it takes seconds."""
    prepare: Callable[[dict[str, Any], Path, list[Block]], None] = lambda names, folder, page: None
    """Sets names or writes files that the page only talks of; gets the page's names, the folder and its blocks."""


def _traces_and_video(names: dict[str, Any], folder: Path, page: list[Block]) -> None:
    """The files that the page shows."""
    (folder / "my_traces").mkdir()
    (folder / "my_traces" / "one.txt").write_text(next(block.text for block in page if block.text.startswith("0.0 ")))
    (folder / "my_video.json").write_text(_video(2))


def _video(levels: int, chunks: int = 4) -> str:
    """A video of few chunks."""
    ladder = [300 * (level + 1) for level in range(levels)]
    sizes = [[500 * kbps] * chunks for kbps in ladder]
    return json.dumps({"bitrates_kbps": ladder, "chunk_sizes_bytes": sizes, "chunk_duration_s": 4.0})


def _stream_and_sizes(names: dict[str, Any], folder: Path, page: list[Block]) -> None:
    """A stream of two levels, and a folder of sizes of three."""
    for level in ("a", "b"):
        (folder / "stream" / level).mkdir(parents=True)
        for number in (1, 2, 3):
            (folder / "stream" / level / f"{number}.m4s").write_bytes(bytes(200_000 if level == "a" else 450_000))
    (folder / "stream" / "manifest.mpd").write_text(
        '<MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static" mediaPresentationDuration="PT12S"><Period>'
        '<AdaptationSet mimeType="video/mp4"><SegmentTemplate media="$RepresentationID$/$Number$.m4s" duration="4"/>'
        '<Representation id="a" bandwidth="400000"/><Representation id="b" bandwidth="900000"/>'
        "</AdaptationSet></Period></MPD>"
    )
    (folder / "sizes").mkdir()
    for level, size in enumerate((150_000, 375_000, 600_000)):
        (folder / "sizes" / f"video_size_{level}").write_text(f"{size}\n{size}\n")


def _videos(names: dict[str, Any], folder: Path, page: list[Block]) -> None:
    """Two of three levels in a folder, and one of six."""
    (folder / "videos").mkdir()
    for name, chunks in (("one.json", 4), ("two.json", 5)):
        (folder / "videos" / name).write_text(_video(3, chunks))
    (folder / "mine.json").write_text(_video(6))


def _traces(names: dict[str, Any], folder: Path, page: list[Block]) -> None:
    """The files that the page shows."""
    (folder / "my_traces").mkdir()
    for name, start in (("log.csv", "time_ms;"), ("one.txt", "0.0 ")):
        (folder / "my_traces" / name).write_text(next(block.text for block in page if block.text.startswith(start)))


def _simulator(names: dict[str, Any], folder: Path, page: list[Block]) -> None:
    from netenvs.cjs.reference import ReferenceSimulator

    names["MySimulator"] = type("MySimulator", (ReferenceSimulator,), {})


def _features(names: dict[str, Any], folder: Path, page: list[Block]) -> None:
    import numpy as np

    draw = np.random.default_rng(0)
    names["frames"] = {video: draw.random((400, 8), dtype=np.float32) for video in range(1, 28)}


def _model(names: dict[str, Any], folder: Path, page: list[Block]) -> None:
    from transformers import LlamaConfig, LlamaForCausalLM

    shape = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2}
    LlamaForCausalLM(LlamaConfig(vocab_size=8, **shape)).save_pretrained(folder / "smollm2")


def _pool(names: dict[str, Any], folder: Path, page: list[Block]) -> None:
    from distill.__main__ import main

    command = next(words for block in page for words in commands(block.text) if words[:2] == ["distill", "collect"])
    assert main(command[1:]) == 0


def _episode(names: dict[str, Any], folder: Path, page: list[Block]) -> None:
    import numpy as np

    sizes = {"batch": 1, "levels": 6}
    names["episode"] = 2 * [
        {
            port["name"]: np.ones([sizes.get(size, size) for size in port["shape"]], port["dtype"])
            for port in names["about"]["inputs"]
        }
    ]


def _exported(names: dict[str, Any], folder: Path, page: list[Block]) -> None:
    from distill.__main__ import main

    command = next(words for block in page for words in commands(block.text) if words[:2] == ["distill", "export"])
    assert main(command[1:]) == 0


NEEDS = {
    'video="stream/manifest.mpd"': Preparation(prepare=_stream_and_sizes),
    'prepare("abr", "worlds"': Preparation(shorter=(("episodes=40", "episodes=1"),)),
    'video="videos/"': Preparation(data=("netllm-abr",), prepare=_videos),
    "model.learn(100_000)": Preparation(shorter=(("100_000", "3008"),)),
    "model.learn(4096)": Preparation(shorter=(("4096", "256"), ("n_steps=128", "n_steps=16"))),
    'traces="my_traces/"': Preparation(prepare=_traces_and_video),
    'read_traces("my_traces")': Preparation(prepare=_traces),
    "MySimulator(": Preparation(prepare=_simulator),
    "num_envs=1698": Preparation(data=("jin2022",)),
    'load_recordings("jin2022")': Preparation(data=("jin2022",)),
    'np.savez("features.npz"': Preparation(data=("jin2022",), prepare=_features),
    'dataset="jin2022", traces="fcc-test"': Preparation(data=("jin2022", "netllm-abr")),
    'load_backbone("smollm2"': Preparation(prepare=_model),
    'Pool("runs/abr")': Preparation(data=("netllm-abr",), prepare=_pool),
    "to_minari(pool": Preparation(data=("netllm-abr",), modules=("minari",)),
    'datasets.install("netllm-abr")': Preparation(data=("netllm-abr",)),
    'load_published_logs("ppo")': Preparation(data=("pensieve-logs", "pensieve", "netllm-abr")),
    "onnxruntime.InferenceSession": Preparation(modules=("onnx", "onnxruntime"), prepare=_exported),
    "for features in episode": Preparation(modules=("onnx", "onnxruntime"), prepare=_episode),
}
"""By a text that occurs in the block."""
SLOW = {"docs/export.md"}
"""Pages whose blocks take longer than the others together."""


def python_pages() -> list[Any]:
    """Pages with Python blocks; CONTRIBUTING.md's are files of a package, which ``test_contributing.py`` makes."""
    return [
        pytest.param(page, marks=pytest.mark.slow if page in SLOW else ())
        for page in PAGES
        if page != "CONTRIBUTING.md" and any(block.language == "python" for block in blocks(page))
    ]


@pytest.mark.parametrize("page", python_pages())
def test_python_blocks_run(page, tmp_path, monkeypatch, capsys, subtests):
    """In order, in a folder of their own, each with the names of those before it on the page."""
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {"__name__": "page"}
    found = blocks(page)
    for block in found:
        if block.language == "python":
            with subtests.test(f"{page}:{block.line}"):
                _run(block, found, names, tmp_path, f"{page}:{block.line}")
                for printed in re.findall(r"^(?:It )?prints[^`.]*`([^`]+)`", block.after):
                    assert printed in capsys.readouterr().out


def _run(block: Block, page: list[Block], names: dict[str, Any], folder: Path, where: str) -> None:
    text = block.text
    for sign, needs in NEEDS.items():
        if sign in text:
            for name in needs.data:
                if not datasets.installed(name):
                    pytest.skip(f"data set {name} is not installed")
            for module in needs.modules:
                if importlib.util.find_spec(module) is None:
                    pytest.skip(f"{module} is not installed")
            needs.prepare(names, folder, page)
            for long, short in needs.shorter:
                assert long in text
                text = text.replace(long, short)
    exec(compile(text, where, "exec"), names)


# Commands


def commands(text: str) -> list[list[str]]:
    """Module and arguments of each ``python -m`` of a shell block."""
    found = []
    for line in text.replace("\\\n", " ").splitlines():
        if not re.match(r"(\$ )?(python|pip|hf|mkdir|source) ", line):
            continue  # what a command prints
        lexer = shlex.shlex(line.removeprefix("$ "), posix=True, punctuation_chars="&;")
        lexer.whitespace_split = True
        words: list[str] = []
        for word in [*lexer, "&&"]:
            if word in ("&&", ";"):
                if words[:2] == ["python", "-m"]:
                    found.append(words[2:])
                words = []
            else:
                words.append(word)
    return found


def shown(page: str) -> list[list[str]]:
    """Commands of the page's blocks and of its sentences, but for those with placeholders."""
    text = (ROOT / page).read_text(encoding="utf-8")
    of_blocks = [block.text for block in blocks(page) if block.language in ("", "bash", "console", "shell")]
    prose = re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)
    of_sentences = [code.replace("\n", " ") for code in re.findall(r"`(python -m [^`]+)`", prose)]
    found = [words for code in of_blocks + of_sentences for words in commands(code)]
    return [words for words in found if not any(re.fullmatch(r"\.\.\.|[A-Z]{3,}(\.\.\.)?", word) for word in words)]


ALL = {
    (tuple(words), page)
    for page in PAGES
    if page != "CONTRIBUTING.md"
    for words in shown(page)
    if words[0] not in ("pytest", "venv", "pip")
}


class Taken(BaseException):
    """A parser took the arguments."""


def _then_stop(parse: Callable[..., Any]) -> Callable[..., Any]:
    def parsed(*arguments: Any, **options: Any) -> Any:
        parse(*arguments, **options)
        raise Taken

    return parsed


@pytest.mark.filterwarnings("ignore:.* found in sys.modules after import of package:RuntimeWarning")
@pytest.mark.parametrize(
    ("words", "page"), [pytest.param(words, page, id=f"{page}: {' '.join(words)}") for words, page in sorted(ALL)]
)
def test_commands_are_taken(words, page, tmp_path, monkeypatch, capsys):
    """The module's own parser reads the whole line; what comes after it is stopped."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", list(words))
    monkeypatch.setattr(tyro, "cli", _then_stop(tyro.cli))
    monkeypatch.setattr(argparse.ArgumentParser, "parse_args", lambda *_: pytest.fail("a parser of its own: use parse"))
    try:
        runpy.run_module(words[0], run_name="__main__", alter_sys=True)
    except Taken:
        pass
    except SystemExit:
        said = capsys.readouterr().err
        assert "required" in said or "must be given" in said, (
            f"{page}: python -m {shlex.join(words)}: {said}"
        )  # half a command
    else:
        pytest.fail(f"{page}: python -m {shlex.join(words)} did not read its arguments")
    assert _unknown(words) == []


def _unknown(words: tuple[str, ...]) -> list[str]:
    """Policies of a command line that have no such name."""
    if words[0] != "benchmarks.compare" and words[:2] != ("distill", "collect"):
        return []
    values = {option: words[i + 1] for i, option in enumerate(words[:-1]) if option.startswith("--")}
    task = values.get("--task", "")
    named = [part for option in ("--policies", "--policy") for part in split_specs(values.get(option, ""))]
    bare = [spec.partition("(")[0].strip() for spec in named if not re.search(r"[/:]|\.py", spec.partition("(")[0])]
    return [name for name in bare if task and name not in registered(task)]


@pytest.mark.filterwarnings("ignore:.* found in sys.modules after import of package:RuntimeWarning")
@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["netenvs.datasets", "list"], "netllm-abr"),
        (["distill", "--help"], "collect"),
    ],
    ids=" ".join,
)
def test_commands_that_cost_nothing(words, expected, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", list(words))
    with pytest.raises(SystemExit) as stop:
        runpy.run_module(words[0], run_name="__main__", alter_sys=True)
    assert not stop.value.code
    assert expected in capsys.readouterr().out


def test_every_option_of_a_comparison_is_explained(monkeypatch, capsys):
    """In the table of docs/compare.md, which has no others."""
    monkeypatch.setattr(sys, "argv", ["benchmarks.compare", "--help"])
    with pytest.raises(SystemExit):
        runpy.run_module("benchmarks.compare", run_name="__main__", alter_sys=True)
    there = set(re.findall(r"(?<![\w-])--[a-z][a-z-]*", capsys.readouterr().out)) - {"--help"}
    page = (ROOT / "docs" / "compare.md").read_text(encoding="utf-8")
    assert set(re.findall(r"^\| `(--[a-z-]+)", page, re.MULTILINE)) == there


# Policies of a page


def own_policies() -> list[tuple[str, str, str]]:
    """(page, task, ``file.py:Class``) of each policy that a page defines and plays."""
    return sorted(
        {
            (page, words[words.index("--task") + 1], word)
            for words, page in ALL
            for word in words
            if re.fullmatch(r"\w+\.py:\w+", word) and words[0] == "benchmarks.compare"
        }
    )


def _write(page: str, spec: str) -> None:
    file, _, name = spec.partition(":")
    Path(file).write_text(next(block.text for block in blocks(page) if f"class {name}(" in block.text))


@pytest.mark.parametrize(("page", "task", "spec"), own_policies())
def test_policies_keep_the_contract(page, task, spec, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    _write(page, spec)
    check_policy(load_policy(spec, task), task, episodes=2, env_options=SMALL.get(task))


@pytest.mark.parametrize(("page", "task", "spec"), [found for found in own_policies() if found[0] == "README.md"])
def test_policies_score_what_the_readme_says(page, task, spec, tmp_path, monkeypatch, capsys):
    from benchmarks.compare import main

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    _write(page, spec)
    assert main(["--task", task, "--policies", PLAYED[task], "--policy", spec, "--out", "out"]) == 0
    row = next(line for line in capsys.readouterr().out.splitlines() if line.strip().startswith(spec.partition(":")[2]))
    mean, interval = re.search(r"([\d.]+) +(\[[\d., ]+\])", row).groups()
    text = (ROOT / page).read_text(encoding="utf-8")
    assert re.search(rf"\b{re.escape(mean)}( s)? {re.escape(interval)}", text), f"{page} does not say {mean} {interval}"


# The pages themselves


def test_the_readme_is_short():
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= 200


@pytest.mark.parametrize("page", [page for page in PAGES if not page.startswith("docs/")])
def test_links_lead_somewhere(page):
    """Of pages that mkdocs does not check."""
    text = (ROOT / page).read_text(encoding="utf-8")
    links = [link for link in re.findall(r"\]\(([^)\s]+)\)", text) if not link.startswith(("http", "#"))]
    assert [link for link in links if not (ROOT / link.partition("#")[0]).exists()] == []
    for link in links:
        file, _, anchor = link.partition("#")
        if anchor:
            headings = re.findall(r"^#+ (.*)$", (ROOT / file).read_text(encoding="utf-8"), re.MULTILINE)
            assert anchor in {re.sub(r"[^\w -]", "", heading).lower().replace(" ", "-") for heading in headings}, link


def test_error_lines_are_ours():
    """Those of the page on troubleshooting stand in the code, word for word."""
    packages = ("netenvs", "agents", "distill", "benchmarks")
    sources = [path.read_text(encoding="utf-8") for package in packages for path in (ROOT / package).rglob("*.py")]
    code = re.sub(r"[\"'](\s*\n\s*|\s+)f?[\"']", "", "\n".join(sources)).replace("\\'", "'")
    page = (ROOT / "docs" / "troubleshooting.md").read_text(encoding="utf-8")
    lines = re.findall(r"^\| `(.+?)` \|", page, re.MULTILINE)
    parts = [part.strip(" ;?,") for line in lines for part in line.split("...") if len(part.strip(" ;?,")) > 3]
    assert len(lines) > 20
    assert [part for part in parts if part not in code] == []


def test_every_page_is_in_the_navigation():
    navigation = (ROOT / "mkdocs.yml").read_text(encoding="utf-8").partition("nav:")[2]
    missing = [page for page in PAGES if page.startswith("docs/") and os.path.basename(page) not in navigation]
    assert missing == []
