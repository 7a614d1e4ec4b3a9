"""Image features of frames: the features of a tiny ViT, when they are shown, killed runs, what is refused."""

import json
import os
import re
import shutil
import sys

import gymnasium as gym
import numpy as np
import pytest
import torch
import transformers
from PIL import Image

import netenvs  # noqa: F401
from agents.vp.features import Args, Backbone, command, main
from netenvs.vp.features import load_features

SIDE, FPS = 32, 2.0
PLAIN = {"image_processor_type": "ViTImageProcessor", "size": {"height": SIDE, "width": SIDE}}
CROPPED = {
    "image_processor_type": "CLIPImageProcessor",
    "size": {"shortest_edge": SIDE},
    "crop_size": {"height": SIDE, "width": SIDE},
    "do_center_crop": True,
}
STATISTICS = {"do_resize": True, "resample": 2, "do_rescale": True, "rescale_factor": 1 / 255, "do_normalize": True}
SIZES = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
PICTURES = {"image_size": SIDE, "patch_size": 16}


def write_backbone(folder, model, processor=PLAIN):
    """A model with random weights, large enough to tell pictures apart, and the file of its image processor."""
    torch.manual_seed(0)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(0.3 * torch.randn_like(parameter))
    model.save_pretrained(folder)
    facts = {**STATISTICS, "image_mean": [0.5, 0.4, 0.3], "image_std": [0.5, 0.25, 0.2], **processor}
    (folder / "preprocessor_config.json").write_text(json.dumps(facts))
    return folder


@pytest.fixture(scope="module")
def vit(tmp_path_factory):
    config = transformers.ViTConfig(**SIZES, **PICTURES)
    return write_backbone(tmp_path_factory.mktemp("vit"), transformers.ViTModel(config))


@pytest.fixture
def frames(tmp_path):
    """Videos 3 and 12 with 9 and 4 frames, whose order is not that of their names as text."""
    for video, count in (("video3", 9), ("12", 4)):
        (tmp_path / "frames" / video).mkdir(parents=True)
        for i in range(count):
            pixels = np.random.default_rng([int(video[-1]), i]).integers(0, 256, (8, 16, 3), dtype=np.uint8)
            Image.fromarray(pixels).resize((64, 32)).save(tmp_path / "frames" / video / f"{i + 5}.png")
    (tmp_path / "frames" / ".hidden").write_text("no frame")
    return tmp_path / "frames"


@pytest.fixture
def args(frames, vit, tmp_path):
    return Args(frames, str(vit), tmp_path / "made" / "features.npz", fps=FPS)


@pytest.fixture
def recordings(tmp_path):
    """Heads of three users in videos 3 and 12, until 4.8 s and 2.4 s, as CSV files."""
    for video, samples in ((3, 25), (12, 13)):
        (tmp_path / "heads" / f"video{video}").mkdir(parents=True)
        rows = "".join(f"{i / 5:.1f},0,{i % 7},{3 * i % 90}\n" for i in range(samples))
        for user in (1, 2, 3):
            (tmp_path / "heads" / f"video{video}" / f"user{user}.csv").write_text(rows)
    return tmp_path / "heads"


def reference(vit, paths, mean=(0.5, 0.4, 0.3), std=(0.5, 0.25, 0.2)):
    """CLS tokens of whole frames, without an image processor."""
    model = transformers.ViTModel.from_pretrained(vit).eval()
    small = [np.asarray(Image.open(path).resize((SIDE, SIDE), Image.Resampling.BILINEAR)) / 255 for path in paths]
    pixels = torch.tensor((np.stack(small) - mean) / std, dtype=torch.float32).permute(0, 3, 1, 2)
    with torch.inference_mode():
        return model(pixels).last_hidden_state[:, 0].numpy()


def arrays(path):
    with np.load(path, allow_pickle=False) as file:
        return {name: file[name] for name in file}


def test_features_are_those_of_the_model_in_the_order_of_numbers(args, frames, vit):
    main(args)
    made = arrays(args.out)
    expected = reference(vit, [frames / "video3" / f"{i}.png" for i in range(5, 14)])
    assert np.abs(expected[1:] - expected[:-1]).max(axis=1).min() > 0.05
    np.testing.assert_allclose(made["3"], expected, rtol=0, atol=1e-6)
    assert made["12"].shape == (4, 16) and made["3"].dtype == np.float32 and made["rate"] == FPS
    assert [path.name for path in args.out.parent.iterdir()] == ["features.npz"]


def test_batches_change_nothing(args):
    main(args)
    made = arrays(args.out)
    for size in (1, 4):
        args.batch_size, args.out = size, args.out.with_name(f"{size}.npz")
        main(args)
        for name in ("3", "12"):
            np.testing.assert_allclose(arrays(args.out)[name], made[name], rtol=0, atol=1e-6)


def test_the_environment_shows_them_at_their_time(args, recordings, frames, vit):
    args.dataset = str(recordings)
    main(args)
    env = gym.make(
        "netenvs/VP-v0", dataset=str(recordings), features=str(args.out), history=3, horizon=5, mode="replay"
    )
    expected = reference(vit, [frames / "video3" / f"{i}.png" for i in range(5, 14)])
    observation, info = env.reset(options={"video": 3, "user": 1})
    seen, done = [], False
    while not done:
        frame = min(int(info["time_s"] * FPS + 1e-6), 8)
        np.testing.assert_allclose(observation["features"], expected[frame], rtol=0, atol=1e-6)
        seen.append(frame)
        observation, _, done, _, info = env.step(np.zeros((5, 3), np.float32))
    assert len(set(seen)) >= 3


class Killed(BaseException):
    pass


def count_and_kill(monkeypatch, after=None):
    """List of the frames of each forward pass from now on, killed when there are ``after`` of them."""
    passes, compute = [], Backbone.features

    def counted(self, pictures):
        if len(passes) == after:
            raise Killed
        passes.append(len(pictures))
        return compute(self, pictures)

    monkeypatch.setattr(Backbone, "features", counted)
    return passes


def test_a_killed_run_leaves_no_file_and_goes_on(args, monkeypatch):
    main(args)
    whole = args.out.read_bytes()
    args.out.unlink()
    with monkeypatch.context() as patch:
        count_and_kill(patch, after=1)
        with pytest.raises(Killed):
            main(args)
    assert not args.out.exists()
    passes = count_and_kill(monkeypatch)
    main(args)
    assert passes == [4]
    assert args.out.read_bytes() == whole and len(list(args.out.parent.iterdir())) == 1


def test_only_what_is_new_is_computed(args, frames, vit, tmp_path, monkeypatch):
    passes = count_and_kill(monkeypatch)
    main(args)
    args.fps = 4.0
    main(args)
    assert passes == [9, 4] and arrays(args.out)["rate"] == 4.0
    os.utime(frames / "12" / "5.png", (1, 1))
    main(args)
    assert passes == [9, 4, 4]
    model = transformers.ViTModel.from_pretrained(vit)
    args.backbone = str(write_backbone(tmp_path / "other", model, {**PLAIN, "image_mean": [0.1, 0.1, 0.1]}))
    before = arrays(args.out)
    main(args)
    assert passes == [9, 4, 4, 9, 4] and not np.allclose(arrays(args.out)["3"], before["3"], atol=1e-3)


def test_a_video_that_is_taken_away_leaves_the_file(args, frames):
    main(args)
    (frames / "12").rename(frames.parent / "12")
    main(args)
    assert set(arrays(args.out)) == {"rate", "made_from", "3"}


def test_the_sides_of_a_frame_are_not_cut_off(vit, tmp_path):
    model = transformers.ViTModel.from_pretrained(vit)
    cropped = Backbone(str(write_backbone(tmp_path / "cropped", model, CROPPED)))
    picture = Image.fromarray(np.random.default_rng(0).integers(0, 256, (32, 64, 3), dtype=np.uint8))
    np.testing.assert_array_equal(cropped.features([picture]), Backbone(str(vit)).features([picture]))


def test_the_vision_half_of_clip(tmp_path):
    vision = transformers.CLIPVisionConfig(**SIZES, **PICTURES)
    text = transformers.CLIPTextConfig(**SIZES, vocab_size=50)
    model = transformers.CLIPModel(transformers.CLIPConfig(text_config=text.to_dict(), vision_config=vision.to_dict()))
    backbone = Backbone(str(write_backbone(tmp_path / "clip", model, CROPPED)))
    assert backbone.features([Image.new("RGB", (64, 32), color) for color in ("red", "blue")]).shape == (2, 16)


def test_a_classifier_has_no_pooler(tmp_path):
    model = transformers.ViTForImageClassification(transformers.ViTConfig(**SIZES, **PICTURES))
    folder = write_backbone(tmp_path / "classifier", model)
    picture = Image.new("RGB", (64, 32), "red")
    first, second = (Backbone(str(folder)).features([picture]) for _ in range(2))
    np.testing.assert_array_equal(first, second)


def one_line(args, message):
    with pytest.raises(ValueError, match=message) as error:
        main(args)
    assert "\n" not in str(error.value)
    assert not args.out.exists()


def test_frames_that_are_refused(args, frames):
    folder, frame = frames / "video3", frames / "video3" / "7.png"
    content = frame.read_bytes()

    def refused(path, bytes_, message):
        kept = path.read_bytes() if path.exists() else None
        path.write_bytes(bytes_)
        one_line(args, message)
        path.unlink() if kept is None else path.write_bytes(kept)

    def picture(size):
        Image.new("RGB", size).save(frames.parent / "picture.png")
        return (frames.parent / "picture.png").read_bytes()

    refused(frame, b"text", r"7\.png: not a whole image .*extract it again or remove it")
    refused(frame, content[: len(content) // 2], r"7\.png: not a whole image .*truncated")
    refused(frame, picture((32, 32)), r"7\.png: 32x32 is not equirectangular")
    refused(frame, picture((32, 16)), r"7\.png: 32x16, but 5\.png is 64x32")
    refused(folder / "0007.jpg", content, r"7\.png: its name has the number of 0007\.jpg")
    refused(folder / "cover.png", content, r"cover\.png: its name has no number")
    refused(folder / "15.png", content, r"13\.png: frames are missing after this one")
    refused(frames / "video7.png", content, r"video7\.png: which video\? put frames into files like .*video4")
    (frames / "extra").mkdir()
    one_line(args, r"extra: which video\?")
    (frames / "extra").rename(frames / "clip-12")
    one_line(args, r"clip-12: video 12 is .*12 already; keep one of them")
    (frames / "clip-12").rename(frames / "clip-13")
    one_line(args, r"clip-13: no frames; add them, or remove the folder")
    (frames / "clip-13").rmdir()
    main(args)


def test_folders_that_are_refused(args, frames, tmp_path):
    args.frames = tmp_path / "nothing"
    one_line(args, "nothing: no such folder; put frames into files like .*video4")
    args.frames.mkdir()
    one_line(args, "nothing: no videos; put frames into files like .*video4")


def test_frames_that_do_not_suit_the_recordings(args, frames, recordings):
    args.dataset = str(recordings)
    args.fps = 4.0
    one_line(args, r"video3: frames end at 2\.25 s, recordings of .* at 4\.8 s; add the rest, or correct --fps")
    args.fps = FPS
    main(args)
    args.out.unlink()
    (frames / "12").rename(frames.parent / "12")
    one_line(args, r"frames: video 12 of .* is missing; add .*video12")
    args.dataset = "jin2023"
    one_line(args, "unknown dataset 'jin2023'")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"fps": 0.0}, "fps must be a number"),
        ({"fps": float("nan")}, "fps must be a number"),
        ({"batch_size": 0}, "batch_size must be at least 1"),
        ({"device": "abacus"}, "device 'abacus': "),
        (
            {"backbone": "nobody/vit"},
            "'nobody/vit': not on .* `hf download nobody/vit --local-dir DIR`, then --backbone DIR",
        ),
        ({"backbone": "models/vit/base"}, "'models/vit/base': no such folder"),
        ({"backbone": "./vit"}, r"'\./vit': no such folder"),
    ],
)
def test_options_that_are_refused(args, options, message):
    for name, value in options.items():
        setattr(args, name, value)
    one_line(args, message)


def test_a_name_on_the_hub_is_taken_from_the_cache(vit, monkeypatch, tmp_path):
    commit, cached = "0" * 40, tmp_path / "hub" / "models--owner--vit"
    shutil.copytree(vit, cached / "snapshots" / commit)
    (cached / "refs").mkdir()
    (cached / "refs" / "main").write_text(commit)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    picture = Image.new("RGB", (64, 32), "red")
    named = Backbone("owner/vit")
    np.testing.assert_array_equal(named.features([picture]), Backbone(str(vit)).features([picture]))


def test_files_that_are_not_features_are_kept(args):
    args.out.parent.mkdir()
    for content in (b"thesis", b"PK\x03\x04broken"):
        args.out.write_bytes(content)
        with pytest.raises(ValueError, match=r"features\.npz: no features made by this command; give another --out"):
            main(args)
        assert args.out.read_bytes() == content


def test_models_that_are_refused(vit, tmp_path):
    def refused(model, message, processor=PLAIN):
        folder = tmp_path / str(len(list(tmp_path.iterdir())))
        with pytest.raises(ValueError, match=message) as error:
            Backbone(str(write_backbone(folder, model, processor)))
        assert "\n" not in str(error.value) and str(folder) in str(error.value)

    gpt = transformers.GPT2Config(vocab_size=20, n_positions=8, n_embd=16, n_layer=1, n_head=2)
    refused(transformers.GPT2Model(gpt), "GPT2Model has no CLS token; give a ViT")
    masked = transformers.ViTMAEConfig(**SIZES, **PICTURES, decoder_num_attention_heads=2, decoder_hidden_size=16)
    refused(transformers.ViTMAEModel(masked), "the same picture gives other features each time")
    model = transformers.ViTModel.from_pretrained(vit)
    refused(model, "it does not take a picture alone", {**PLAIN, "size": {"height": 48, "width": 48}})
    refused(model, "Unrecognized image processor", {"image_processor_type": "Nothing"})
    del model.layernorm
    refused(model, "its file lacks 2 weights, .*layernorm.* first; it must be a folder with config.json")


def test_weights_are_never_unpickled(vit, tmp_path):
    class Trap:
        def __reduce__(self):
            return open, (str(tmp_path / "sprung"), "w")

    model = transformers.ViTModel.from_pretrained(vit)
    folder = write_backbone(tmp_path / "pickled", model)
    (folder / "model.safetensors").unlink()
    torch.save(Trap(), folder / "pytorch_model.bin")
    with pytest.raises(ValueError, match=r"model\.safetensors.*; it must be a folder with"):
        Backbone(str(folder))
    assert not (tmp_path / "sprung").exists()


def test_the_command_line(args, monkeypatch, capsys, tmp_path):
    words = ["features", str(args.frames), "--backbone", args.backbone, "--out", str(args.out)]
    monkeypatch.setattr(sys, "argv", words)
    with pytest.raises(SystemExit, match="0"):
        command()
    assert "video 3: 9 frames, 1.8 s" in capsys.readouterr().out
    made = load_features(str(args.out), np.array([3, 12]))
    assert made.rate_hz == 5 and made.values.shape == (13, 16)
    monkeypatch.setattr(sys, "argv", [*words[:-1], str(tmp_path)])
    with pytest.raises(SystemExit, match="1"):
        command()
    assert re.match(r"error: .*: a folder; give --out a file in it", capsys.readouterr().err)
