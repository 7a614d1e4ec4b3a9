"""A backbone of one's own: a class, a function that makes it again, and a line in the table."""

import numpy as np
import pytest
import torch
from toy_sequence import GRUBackbone, add_toy_task, toy_model, toy_sequences

from agents.export.deployed import Deployed, sees_whole_episodes
from agents.sequence.backbone import BACKBONES
from agents.sequence.checkpoint import load_policy_model, save_policy
from agents.sequence.testing import check_backbone


class Own(GRUBackbone):
    settled = False

    def config(self):
        return {"kind": "own", "d_model": self.d_model}

    def settle(self):
        self.settled = True


def restore(config, name, device):
    return Own(config["d_model"]).to(device)


@pytest.fixture(autouse=True)
def own(monkeypatch):
    monkeypatch.setitem(BACKBONES, "own", f"{__name__}:restore")
    add_toy_task(monkeypatch)


def test_it_is_saved_and_loaded(tmp_path):
    model = toy_model(timesteps=5, backbone=Own())
    check_backbone(model.backbone)
    save_policy(model, tmp_path, "own")
    loaded, _, _ = load_policy_model(tmp_path, "own")
    assert isinstance(loaded.backbone, Own) and not loaded.backbone.settled, "it may be trained on"
    sequences = toy_sequences([5, 3])
    chosen = np.zeros((8, 2), dtype=np.int64)
    with torch.no_grad():
        for one, other in zip(model.eval()(sequences, chosen), loaded(sequences, chosen), strict=True):
            assert torch.equal(one, other)


def test_what_it_does_not_define_is_said(tmp_path):
    model = toy_model(backbone=GRUBackbone())
    with pytest.raises(NotImplementedError, match=r"GRUBackbone has no config\(\): it cannot be saved"):
        save_policy(model, tmp_path, "own")
    assert not list(tmp_path.iterdir())
    assert Own().structure() == Own().config() and not Own().shared()
    assert not sees_whole_episodes(model)
    with pytest.raises(ValueError, match="only policies around a hybrid"):
        Deployed(model, 0)
