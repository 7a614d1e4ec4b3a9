"""Image features of video frames, from a vision transformer, for ``netenvs/VP-v0``'s option ``features``.

::

    python -m agents.vp.features FRAMES --backbone google/vit-base-patch16-224-in21k --out features.npz

``FRAMES`` is laid out as :func:`agents.vp.frames.find_videos` says; the first frame of a video is shown from 0 s on.

Features are the CLS token after the last layer, ``last_hidden_state[:, 0]``. The pooler behind it is not used:
image classifiers have none, and transformers would fill one in with random numbers. A frame is scaled to the
backbone's input size as a whole; processors that would keep the shape and cut the sides off are told not to. All else
(resampling, mean, standard deviation) is as the backbone's processor says, with its Pillow implementation.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
import transformers
from huggingface_hub import snapshot_download
from PIL import Image
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from torch import Tensor

from agents.vp.frames import Video, check_recordings, find_videos, one_line, open_frame
from netenvs.arrays import named_arrays
from netenvs.command_line import Positional, run
from netenvs.errors import printable
from netenvs.files import is_file, is_folder, write_atomically
from netenvs.vp.recordings import RATE_HZ

RATE, MADE_FROM = "rate", "made_from"
_CLS_PARAMETERS = ("cls_token", "class_embedding")
_UNUSED_WEIGHTS = ("pooler", "mask_token")


class Backbone:
    """A vision transformer with its image processor, in float32 on ``device``.

    ``name`` is a folder, or a name on the Hugging Face hub that is in the local cache: nothing is downloaded. Weights
    are read from safetensors only, and no code comes with them. ``ValueError``, one line, for a model that is not
    there, not whole, or no ViT with a CLS token.
    """

    def __init__(self, name: str, device: str = "cpu"):
        folder = _folder(name)
        remedy = "it must be a folder with config.json, preprocessor_config.json and model.safetensors of one model"
        only_local: dict[str, Any] = {"local_files_only": True, "trust_remote_code": False}
        try:
            model, info = transformers.AutoModel.from_pretrained(
                folder, dtype=torch.float32, use_safetensors=True, output_loading_info=True, **only_local
            )
            processor = transformers.AutoImageProcessor.from_pretrained(folder, backend="pil", **only_local)
            self._size = _input_size(processor)
        except Exception as error:
            raise ValueError(f"backbone {name!r}: {one_line(error)}; {remedy}") from error
        if missing := sorted(key for key in info["missing_keys"] if not any(part in key for part in _UNUSED_WEIGHTS)):
            raise ValueError(f"backbone {name!r}: its file lacks {len(missing)} weights, {missing[0]} first; {remedy}")
        self._model: Any = getattr(model, "vision_model", model)  # of CLIP and its kin
        self._processor: Any = processor
        self.digest = _digest(self._model, processor)
        """Of all that determines the features of a frame."""
        try:
            self._model = self._model.to(device)
        except (RuntimeError, AssertionError) as error:  # assertion: torch without CUDA
            raise ValueError(f"device {device!r}: {one_line(error)}") from error
        self._device = device
        self._check(f"backbone {name!r}")

    def features(self, frames: Sequence[Image.Image]) -> np.ndarray:
        """float32 (k, d) of k frames, RGB."""
        return self._cls(torch.cat([self._pixels(frame) for frame in frames]))

    def _pixels(self, frame: Image.Image) -> Tensor:
        """float32 (1, 3, height, width)."""
        whole = {"size": self._size, "do_resize": True, "do_center_crop": False}
        return self._processor(images=frame, return_tensors="pt", **whole)["pixel_values"]

    @torch.inference_mode()
    def _cls(self, pixels: Tensor) -> np.ndarray:
        return self._model(pixel_values=pixels.to(self._device)).last_hidden_state[:, 0].float().cpu().numpy()

    def _check(self, name: str) -> None:
        """Try it out, before hours of work."""
        names = [key for key, _ in self._model.named_parameters()]
        if not any(key.endswith(_CLS_PARAMETERS) for key in names):
            raise ValueError(f"{name}: {type(self._model).__name__} has no CLS token; give a ViT, DeiT, DINO or CLIP")
        blank = self._pixels(Image.new("RGB", (64, 32)))
        try:
            first, second = self._cls(blank), self._cls(blank)
        except Exception as error:
            raise ValueError(f"{name}: it does not take a picture alone: {one_line(error)}; give a ViT") from error
        if first.ndim != 2 or not np.isfinite(first).all():
            raise ValueError(f"{name}: its features are {first.shape}, or not finite; give a ViT with sound weights")
        if not np.allclose(first, second, atol=1e-4):
            raise ValueError(f"{name}: the same picture gives other features each time (masked at random?); give a ViT")


def _folder(name: str) -> str:
    """Where the model is on this machine; ``ValueError``, one line, if it is not."""
    if is_folder(name):
        return name
    if name.count("/") != 1 or name[0] in "./~":
        raise ValueError(f"backbone {name!r}: no such folder; give one, or a name on the hub, owner/model")
    try:
        return snapshot_download(name, local_files_only=True)
    except (OSError, ValueError) as error:
        fetch = f"hf download {name} --local-dir DIR"
        raise ValueError(
            f"backbone {name!r}: not on this machine; fetch it with `{fetch}`, then --backbone DIR"
        ) from error


def _input_size(processor: Any) -> dict[str, int]:
    """Height and width of what a processor makes of a square image."""
    size = processor.crop_size if getattr(processor, "do_center_crop", False) else processor.size
    if (height := size.height or size.shortest_edge) is None:
        raise ValueError("its image processor names no height and width")
    return {"height": height, "width": size.width or height}


def _digest(model: Any, processor: Any) -> str:
    config = {key: value for key, value in model.config.to_dict().items() if key != "_name_or_path"}
    digest = hashlib.sha256(json.dumps([config, processor.to_dict()], sort_keys=True, default=str).encode())
    for name, weights in model.state_dict().items():
        digest.update(name.encode())
        digest.update(weights.contiguous().numpy())
    return digest.hexdigest()


def write_features(
    videos: dict[int, Video], backbone: Backbone, out: Path, fps: float, batch_size: int, progress: Progress
) -> None:
    """Write the features of videos as ``netenvs.vp.features.load_features`` reads them.

    After each video, those done are saved beside ``out``, in ``<out>.part``; what is there or in ``out`` and of the
    same frames (names, sizes, times of change) and backbone is not computed again.
    """
    part = out.with_name(out.name + ".part")
    sources = {str(number): _source(video, backbone) for number, video in videos.items()}
    saved = {**_read(out), **_read(part)}
    done = {name: saved[name] for name, source in sources.items() if name in saved and saved[name][0] == source}
    lengths = {name: len(video.frames) for name, video in zip(sources, videos.values(), strict=True)}
    task = progress.add_task("", total=sum(lengths.values()), completed=sum(lengths[name] for name in done))
    for name, video in zip(sources, videos.values(), strict=True):
        if name not in done:
            values = []
            for i in range(0, len(video.frames), batch_size):
                batch = video.frames[i : i + batch_size]
                values.append(backbone.features([open_frame(path) for path in batch]))
                progress.advance(task, len(batch))
            done[name] = sources[name], np.concatenate(values)
            _save(part, fps, done)
        seconds = f"{lengths[name]} frames, {lengths[name] / fps:.1f} s"
        progress.console.print(f"video {name}: {seconds}", highlight=False)
    _save(out, fps, done)
    part.unlink(missing_ok=True)


def _source(video: Video, backbone: Backbone) -> str:
    """Digest of what the features of a video are made from."""
    facts = [(path.name, path.stat().st_size, path.stat().st_mtime_ns) for path in video.frames]
    return hashlib.sha256(json.dumps([backbone.digest, facts]).encode()).hexdigest()


def _save(path: Path, fps: float, done: dict[str, tuple[str, np.ndarray]]) -> None:
    made_from = json.dumps({name: source for name, (source, _) in done.items()})
    arrays: dict[str, Any] = {RATE: np.float64(fps), MADE_FROM: np.array(made_from)}
    arrays |= {name: values for name, (_, values) in done.items()}

    def write(unfinished: Path) -> None:
        with unfinished.open("wb") as file:
            np.savez(file, allow_pickle=False, **arrays)

    write_atomically(path, write)


def _read(path: Path) -> dict[str, tuple[str, np.ndarray]]:
    """What ``_save`` wrote, empty if there is no such file."""
    if not is_file(path):
        return {}
    try:
        with named_arrays(path) as file:
            return {name: (source, file[name]) for name, source in json.loads(str(file[MADE_FROM])).items()}
    except Exception as error:
        raise ValueError(f"{path}: no features made by this command; give another --out, or remove it") from error


@dataclass
class Args:
    """This writes image features of equirectangular video frames for netenvs/VP-v0, see docs/vp.md."""

    frames: Annotated[Path, Positional]
    """This folder has a folder of images for each video, such as FRAMES/video4/0001.jpg."""
    backbone: str
    """The vision transformer is a folder, or a name on the Hugging Face hub if it is in the local cache."""
    out: Path
    """The features go to this file (.npz); one that is there is extended by new videos."""
    fps: float = RATE_HZ
    """There are so many frames a second; the first is shown at 0 s. The default is the rate of the recordings."""
    dataset: str | None = None
    """All videos of this data set of head motion, such as jin2022, must be there, as long as their recordings."""
    batch_size: int = 32
    """So many frames are taken at once, which changes nothing but speed and memory."""
    device: str = "cpu"
    """The backbone runs there, as torch calls it: cpu, cuda, cuda:1, mps."""


def main(args: Args) -> None:
    """Run the command line; bad input is a ``ValueError`` of one line."""
    if not 0 < args.fps < float("inf"):
        raise ValueError(f"fps must be a number of frames a second above 0, not {args.fps:g}")
    if args.batch_size < 1:
        raise ValueError(f"batch_size must be at least 1, not {args.batch_size}")
    if is_folder(args.out):
        raise ValueError(f"{args.out}: a folder; give --out a file in it, such as {args.out / 'features.npz'}")
    videos = find_videos(args.frames)
    if args.dataset is not None:
        check_recordings(videos, args.fps, args.dataset, args.frames)
    transformers.logging.set_verbosity_error()
    torch.backends.cudnn.allow_tf32 = False  # or a GPU rounds the pixels to 10 bits
    backbone = Backbone(args.backbone, args.device)
    args.out.parent.mkdir(parents=True, exist_ok=True)
    bar = TextColumn("frames"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()
    with Progress(*bar, TextColumn("left"), TimeRemainingColumn()) as progress:
        write_features(videos, backbone, args.out, args.fps, args.batch_size, progress)
    print(printable(f"{args.out}: {len(videos)} videos at {args.fps:g} frames a second"))


def command() -> None:
    """Run the command line as a program."""
    run(main, Args, "python -m agents.vp.features")


if __name__ == "__main__":
    command()
