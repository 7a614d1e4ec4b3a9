"""Videos of Sabre."""

import json

import pytest

from netenvs.abr.videos import load_video

LADDER = [230, 331, 477, 688, 991, 1427, 2056, 2962, 5027, 6000]
VIDEO = {
    "segment_duration_ms": 3000,
    "bitrates_kbps": LADDER,
    "segment_sizes_bits": [[kbps * 3000 + 8 * chunk for kbps in LADDER] for chunk in range(5)],
}


def test_sizes_are_bits_segment_by_segment(read):
    video, reading = read(json.dumps(VIDEO))
    assert reading.notes == [] and reading.formats == {"sabre": 1}
    assert (video.bitrates_kbps.tolist(), video.num_chunks, video.chunk_duration_s) == (LADDER, 5, 3.0)
    assert video.chunk_sizes[4].tolist() == [kbps * 375 + 4 for kbps in LADDER]


def test_bytes_by_option(read):
    bytes_of = [[bits / 8 for bits in segment] for segment in VIDEO["segment_sizes_bits"]]
    video, reading = read(json.dumps({**VIDEO, "segment_sizes_bits": bytes_of}))
    assert "sizes are 0.125 times" in reading.notes[0] and "unit=byte" in reading.notes[0]
    video, reading = read(json.dumps({**VIDEO, "segment_sizes_bits": bytes_of}), unit="B")
    assert reading.notes == [] and video.chunk_sizes[4].tolist() == [kbps * 375 + 4 for kbps in LADDER]


def test_a_ladder_in_any_order(read):
    turned = {
        **VIDEO,
        "bitrates_kbps": LADDER[::-1],
        "segment_sizes_bits": [segment[::-1] for segment in VIDEO["segment_sizes_bits"]],
    }
    assert read(json.dumps(turned))[0].chunk_sizes.tolist() == read(json.dumps(VIDEO))[0].chunk_sizes.tolist()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"bitrates_kbps": None}, "the manifest lacks bitrates_kbps"),
        ({"segment_sizes_bits": [[1, 2], [3]]}, "segment 0 has not 10 sizes"),
        ({"segment_sizes_bits": 7}, "plain numbers"),
        ({"segment_sizes_bits": [["a"] * 10] * 3}, "plain numbers"),
        ({"segment_duration_ms": 0}, "must be above 0"),
        ({"segment_sizes_bits": [[0] * 10] * 3}, "sizes are bytes from 1"),
        ({"segment_sizes_bits": []}, "two chunks or more"),
        ({"bitrates_kbps": [float("nan")] * 10}, "kbit/s from 1 up"),
        ({"bitrates_kbps": list(range(1, 300)), "segment_sizes_bits": [[8000] * 299] * 3}, "299 levels"),
    ],
)
def test_bad_manifests_are_one_line(changes, message, tmp_path):
    path = tmp_path / "video.json"
    path.write_text(json.dumps({k: v for k, v in {**VIDEO, **changes}.items() if v is not None}))
    with pytest.raises(ValueError, match=message) as caught:
        load_video(str(path))
    assert str(caught.value).startswith(str(path)) and "\n" not in str(caught.value)
