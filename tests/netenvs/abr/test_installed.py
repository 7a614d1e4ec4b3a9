"""Splits and videos of installed data sets: missing, damaged."""

import shutil
from dataclasses import replace

import numpy as np
import pytest

from netenvs import datasets
from netenvs.abr.env import ABREnv
from netenvs.abr.installed import INSTALLED_SPLITS, INSTALLED_VIDEOS, default_video
from netenvs.abr.workload import load_traces, load_video, make_trace_set


def test_missing_data_set_says_how_to_install_it(monkeypatch, tmp_path):
    monkeypatch.setenv("NETENVS_DATA", str(tmp_path))
    for load, names in ((load_traces, INSTALLED_SPLITS), (load_video, INSTALLED_VIDEOS)):
        for name, dataset in names.items():
            with pytest.raises(ValueError, match=rf"netenvs\.datasets install {dataset}") as caught:
                load(name)
            assert "\n" not in str(caught.value)


def test_traces_without_the_video_that_they_are_played_with(monkeypatch):
    traces = make_trace_set("puffer22-test", [("a", np.array([0.0, 300.0]), np.array([2.0, 2.0]))])
    assert default_video(traces) == "synthetic"
    traces = replace(traces, installed=True)
    monkeypatch.setattr(datasets, "installed", lambda name: name == "netllm-abr")
    assert default_video(traces) == "video1"
    monkeypatch.setattr(datasets, "installed", lambda name: False)
    remedy = r"netenvs\.datasets install netllm-abr, or give another video, video=synthetic"
    with pytest.raises(ValueError, match=rf"'puffer22-test' are played with video 'video1' .* {remedy}") as caught:
        ABREnv(traces=traces)
    assert "\n" not in str(caught.value)
    ABREnv(traces=traces, video="synthetic").reset(seed=0)


def test_names_of_splits_and_videos_name_their_data_set():
    assert datasets.catalogue().keys() >= {*INSTALLED_SPLITS.values(), *INSTALLED_VIDEOS.values()}
    for name, dataset in INSTALLED_SPLITS.items():
        if dataset != "netllm-abr":
            assert name == dataset or name.removeprefix(f"{dataset}-") in ("train", "valid", "test")


@pytest.mark.parametrize("damage", ["cut", "missing", "splits"])
def test_a_damaged_installed_split_names_the_remedy(netllm_abr, tmp_path, monkeypatch, damage):
    copy = tmp_path / "netllm-abr"
    shutil.copytree(datasets.path("netllm-abr"), copy)
    monkeypatch.setenv("NETENVS_DATA", str(tmp_path))
    if damage == "cut":
        (copy / "fcc-test.npz").write_bytes((copy / "fcc-test.npz").read_bytes()[:1000])
    elif damage == "missing":
        (copy / "fcc-test.npz").unlink()
    else:
        (copy / "splits.json").write_text("{")
    with pytest.raises(
        ValueError, match=r"is damaged .*; run: python -m netenvs\.datasets install netllm-abr"
    ) as caught:
        load_traces("fcc-test")
    assert "\n" not in str(caught.value)
