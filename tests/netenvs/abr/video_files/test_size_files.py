"""Folders of ``video_size_*``: bitrates given and guessed, several videos, damaged files."""

import pytest

from netenvs.abr.videos import load_video, load_videos, read_videos

PENSIEVE = (300, 750, 1200, 1850, 2850, 4300)


def write(folder, ladder, seconds=4, chunks=5, factor=1):
    folder.mkdir(parents=True, exist_ok=True)
    for level, kbps in enumerate(ladder):
        lines = [str(kbps * 125 * seconds * factor + 10 * chunk) for chunk in range(chunks)]
        (folder / f"video_size_{level}").write_text("\n".join(lines) + "\n")
    return folder


def test_six_levels_are_those_of_pensieve(tmp_path):
    (video,), reading = read_videos(write(tmp_path / "v", PENSIEVE))
    assert video.name == str(tmp_path / "v") and video.bitrates_kbps.tolist() == list(PENSIEVE)
    assert (video.num_chunks, video.chunk_duration_s) == (5, 4.0)
    assert video.chunk_sizes[2].tolist() == [kbps * 500 + 20 for kbps in PENSIEVE]
    assert reading.formats == {"video-sizes": 1} and len(reading.notes) == 1
    assert "taken for Pensieve's, 300, 750, 1200, 1850, 2850, 4300 kbit/s" in reading.notes[0]


def test_other_levels_have_their_mean_sizes(tmp_path):
    (video,), reading = read_videos(write(tmp_path, range(300, 3300, 250), seconds=2), chunk_duration_s=2)
    assert video.bitrates_kbps.tolist() == list(range(300, 3300, 250)) and len(reading.notes) == 1
    assert "the mean sizes over chunks of 2 s, 300, 550" in reading.notes[0]


def test_bitrates_by_option_play_without_a_warning(tmp_path):
    folder = write(tmp_path, [300, 900])
    video = load_video(f'video-sizes(path="{folder}",bitrates_kbps=[300,900],num_chunks=4)')
    assert (video.bitrates_kbps.tolist(), video.num_chunks, len(video.chunk_sizes)) == ([300, 900], 4, 5)


@pytest.mark.parametrize("given", ["300,900", "300, 900", [300, 900], (300, 900.0)])
def test_bitrates_are_a_list_or_text(given, tmp_path):
    folder = str(write(tmp_path, [310, 880]))
    assert load_video(folder, bitrates_kbps=given).bitrates_kbps.tolist() == [300, 900]
    assert load_video(f'video-sizes(path={folder},bitrates_kbps="300,900")').bitrates_kbps.tolist() == [300, 900]
    for wrong in ("300", "300,x", [300], [300, None], 300):
        with pytest.raises(ValueError, match=r"bitrates") as caught:
            load_video(folder, bitrates_kbps=wrong)
        assert folder in str(caught.value)


@pytest.mark.parametrize(("gone", "said"), [(3, "no file of level 3"), (0, None), (6, None)])
def test_a_level_that_is_missing_shifts_no_other(gone, said, tmp_path):
    folder = write(tmp_path, [300, 750, 1200, 1850, 2850, 4300, 6000])
    (folder / f"video_size_{gone}").unlink()
    if said:
        with pytest.raises(ValueError, match=said):
            load_video(str(folder))
    else:  # numbers from 1, and six from 0
        (video,), _ = read_videos(folder)
        assert video.num_levels == 6


def test_files_are_ordered_by_number_and_unequal_ones_are_cut(tmp_path):
    write(tmp_path, range(100, 1300, 100))
    with (tmp_path / "video_size_11").open("a") as file:
        file.write("77\n")
    (video,), reading = read_videos(tmp_path)
    assert video.bitrates_kbps[-1] == 1200 and video.num_chunks == 5
    assert any("levels have 5 to 6 chunks; 5 of each are kept" in note for note in reading.notes)


def test_bits_taken_for_bytes_are_told(tmp_path):
    folder = write(tmp_path, [300, 900], factor=8)
    (video,), reading = read_videos(folder, bitrates_kbps=[300, 900])
    assert "sizes are 8 times what the bitrates make" in reading.notes[0] and "unit=bit" in reading.notes[0]
    (right,), reading = read_videos(folder, bitrates_kbps=[300, 900], unit="bit")
    assert reading.notes == [] and (right.chunk_sizes * 8 - video.chunk_sizes).max() <= 8


def test_a_folder_of_such_folders_has_several_videos(tmp_path):
    for name in ("one", "two"):
        write(tmp_path / name, PENSIEVE, chunks=5 if name == "one" else 7)
    with pytest.warns(UserWarning, match="Pensieve's"):
        videos = load_videos(str(tmp_path))
    assert [video.num_chunks for video in videos] == [5, 7]
    with (
        pytest.raises(ValueError, match="it has 2 videos, and one is wanted"),
        pytest.warns(UserWarning, match="Pensieve's"),
    ):
        load_video(str(tmp_path))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"bitrates_kbps": [300]}, "1 bitrates for 2 files"),
        ({"bitrates_kbps": "300;900"}, "bitrates_kbps must be a list"),
        ({"bitrates_kbps": [300, -1]}, "bitrates_kbps must be a list"),
        ({"bitrates_kbps": [300, 900], "unit": "stone"}, "unit=stone: not a unit of sizes; known: B"),
        ({"bitrates_kbps": [300, 900], "num_chunks": 9}, "5 sizes are listed; give 2 to 5"),
        ({"bitrates_kbps": [300, 900], "num_chunks": 2.5}, "must be a whole number"),
        ({"chunk_duration_s": 0}, "chunk_duration_s must be above 0"),
        ({"bitrate": [300, 900]}, "did you mean 'bitrates_kbps'"),
    ],
)
def test_bad_options_are_one_line(options, message, tmp_path):
    with pytest.raises(ValueError, match=message) as caught:
        read_videos(write(tmp_path, [300, 900]), **options)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("100\nabc\n300\n", "video_size_1:2: 'abc' is not a size"),
        ("", "the file is empty"),
        ("1\n-5\n", "'-5' is not a"),
    ],
)
def test_a_damaged_level_is_named(content, message, tmp_path):
    write(tmp_path, [300, 900])
    (tmp_path / "video_size_1").write_text(content)
    with pytest.raises(ValueError, match=message):
        read_videos(tmp_path)


def test_one_file_of_a_folder_is_no_video(tmp_path):
    write(tmp_path, [300, 900])
    with pytest.raises(ValueError, match="two levels or more"):
        read_videos(tmp_path / "video_size_0")


def test_six_files_in_the_wrong_order_are_doubted(tmp_path):
    for number in range(6):
        (tmp_path / f"video_size_{number}").write_text(f"{600_000 - 90_000 * number}\n" * 3)
    _, reading = read_videos(str(tmp_path))
    assert any("their sizes do not grow with it" in note for note in reading.notes)
