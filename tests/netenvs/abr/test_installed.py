"""Splits and videos of installed data sets: missing, damaged."""

import shutil

import pytest

from netenvs import datasets
from netenvs.abr.workload import load_traces, load_video


def test_missing_data_set_says_how_to_install_it(monkeypatch, tmp_path):
    monkeypatch.setenv("NETENVS_DATA", str(tmp_path))
    for load, name in ((load_traces, "fcc-test"), (load_traces, "norway-train"), (load_video, "video1")):
        with pytest.raises(ValueError, match=r"netenvs\.datasets install netllm-abr") as caught:
            load(name)
        assert "\n" not in str(caught.value)


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
