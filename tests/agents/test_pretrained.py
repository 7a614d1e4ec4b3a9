"""Folders of trained weights."""

from agents import pretrained
from agents.abr.pensieve_net import PensieveNet


def test_saved_weights_can_be_read_by_whom_any_file_can(tmp_path):
    pretrained.save(PensieveNet(6), tmp_path / "made", "pensieve", {"levels": 6})
    (tmp_path / "plain").touch()
    modes = {path.name: path.stat().st_mode for path in (tmp_path / "made").iterdir()}
    assert modes == dict.fromkeys(["config.json", "model.safetensors"], (tmp_path / "plain").stat().st_mode)


def test_saving_again_keeps_the_card(tmp_path):
    (tmp_path / "README.md").write_text("card")
    pretrained.save(PensieveNet(6), tmp_path, "pensieve", {"levels": 6})
    assert sorted(path.name for path in tmp_path.iterdir()) == ["README.md", "config.json", "model.safetensors"]
    assert (tmp_path / "README.md").read_text() == "card"
