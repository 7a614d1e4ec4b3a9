"""HLS: master playlists, bitrates, ranges, and what is refused."""

import pytest

from netenvs.abr.videos import load_video, read_videos

KBPS = (200, 400, 800)


def size(kbps, chunk):
    return kbps * 125 * 2 + 1000 * chunk


def master(average=True, folder="v{k}/"):
    lines = ["#EXTM3U", "#EXT-X-VERSION:4"]
    for k in reversed(KBPS):
        more = f",AVERAGE-BANDWIDTH={k * 1000}" if average else ""
        lines.append(f'#EXT-X-STREAM-INF:BANDWIDTH={k * 1500}{more},CODECS="avc1.4d401f,mp4a.40.2",RESOLUTION=640x360')
        lines.append(folder.format(k=k) + "play.m3u8")
    return "\n".join([*lines, ""])


def media(names, seconds=2, extra="", end="#EXT-X-ENDLIST"):
    of = "".join(f"#EXTINF:{seconds:.3f},\n{extra}{name}\n" for name in names)
    return f'#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXT-X-MAP:URI="init.mp4"\n{of}{end}\n'


@pytest.fixture
def stream(tmp_path, segments):
    segments({f"v{k}/{i}.ts": size(k, i) for k in KBPS for i in range(4)})
    for k in KBPS:
        (tmp_path / f"v{k}" / "play.m3u8").write_text(media([f"{i}.ts" for i in range(4)]))
    return tmp_path


@pytest.mark.parametrize(("average", "factor"), [(True, 1.0), (False, 1.5)])
def test_a_master_playlist(average, factor, stream, read):
    video, reading = read(master(average), "master.m3u8")
    assert reading.notes == [] and reading.formats == {"hls": 1}
    assert video.bitrates_kbps.tolist() == [k * factor for k in KBPS]
    assert video.chunk_sizes.tolist() == [[size(k, i) for k in KBPS] for i in range(4)]
    assert (video.num_chunks, video.chunk_duration_s) == (4, 2.0)
    (same,), _ = read_videos(stream)  # the folder: media playlists are no videos of their own
    assert same.chunk_sizes.tolist() == video.chunk_sizes.tolist()


def test_a_playlist_with_several_kinds_of_sound_is_one_level(stream, read):
    again = "#EXT-X-STREAM-INF:BANDWIDTH=1300000,AVERAGE-BANDWIDTH=900000,RESOLUTION=640x360\nv800/play.m3u8\n"
    video, reading = read(master() + again, "master.m3u8")
    assert video.bitrates_kbps.tolist() == list(KBPS)
    assert [note.partition(" (")[0] for note in reading.notes] == ["of levels with the same playlist the first is kept"]


def test_ranges_of_one_file(stream, read):
    of = "".join(f"#EXTINF:2.0,\n#EXT-X-BYTERANGE:{size(200, i)}@{i * 10**5}\n0.ts\n" for i in range(4))
    (stream / "v200" / "play.m3u8").write_text(f"#EXTM3U\n{of}#EXT-X-ENDLIST\n")
    video, _ = read(master(), "master.m3u8")
    assert video.chunk_sizes[:, 0].tolist() == [size(200, i) for i in range(4)]


def test_levels_of_other_lengths_sound_and_live_streams_are_told(stream, read):
    (stream / "v200" / "play.m3u8").write_text(media([f"{i}.ts" for i in range(3)], end=""))
    sound = '#EXT-X-STREAM-INF:BANDWIDTH=64000,AVERAGE-BANDWIDTH=64000,CODECS="mp4a.40.2"\nsound.m3u8\n'
    video, reading = read(master() + sound, "master.m3u8")
    assert video.num_chunks == 3
    assert [note.partition(" (")[0] for note in reading.notes] == [
        "levels of sound alone are left out",
        "a playlist without #EXT-X-ENDLIST is that of a live stream; what it lists is kept",
        "levels have 3 to 4 chunks; 3 of each are kept",
    ]


def test_levels_with_the_same_bitrate(stream, read):
    twice = "#EXT-X-STREAM-INF:BANDWIDTH=300000,AVERAGE-BANDWIDTH=200100,RESOLUTION=1x1\n./v400/play.m3u8\n"
    video, reading = read(master() + twice, "master.m3u8")
    assert video.bitrates_kbps.tolist() == list(KBPS) and "with the same bitrate one is kept" in reading.notes[0]


BAD = {
    "missing segment": ({"v200/play.m3u8": media(["9.ts"])}, "segment 'v200/9.ts' is not there"),
    "upwards": ({"v200/play.m3u8": media(["../../x.ts"])}, "leaves the folder"),
    "a server": ({"v200/play.m3u8": media(["http://a.org/x.ts"])}, "is not on this disk"),
    "a range in words": ({"v200/play.m3u8": media(["0.ts"], extra="#EXT-X-BYTERANGE:all\n")}, "whole number of bytes"),
    "no durations": ({"v200/play.m3u8": "#EXTM3U\n0.ts\n"}, "without #EXTINF"),
    "nothing in it": ({"v200/play.m3u8": "#EXTM3U\n"}, "no segment in it"),
    "an endless segment": ({"v200/play.m3u8": "#EXTM3U\n#EXTINF:inf,\n0.ts\n"}, "is not a duration"),
    "no levels": ({"master.m3u8": media(["v200/0.ts"])}, "give the master playlist"),
    "no bitrate": (
        {"master.m3u8": "#EXTM3U\n#EXT-X-STREAM-INF:RESOLUTION=1x1\nv200/play.m3u8\n"},
        "BANDWIDTH of 'v200",
    ),
    "no playlist": ({"master.m3u8": "#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1000\nx.m3u8\n"}, "playlist 'x.m3u8' is not"),
    "one level": (
        {"master.m3u8": "#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=200000\nv200/play.m3u8\n"},
        "two levels or more",
    ),
}


@pytest.mark.parametrize("what", BAD)
def test_bad_playlists_are_one_line(what, stream):
    changed, message = BAD[what]
    (stream / "master.m3u8").write_text(master())
    for name, content in changed.items():
        (stream / name).write_text(content)
    with pytest.raises(ValueError, match=message) as caught:
        load_video(str(stream / "master.m3u8"))
    assert str(caught.value).startswith(str(stream)) and "\n" not in str(caught.value)


def test_a_manifest_in_an_archive_has_no_segments_on_disk(tmp_path):
    import zipfile

    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("master.m3u8", master())
    with pytest.raises(ValueError, match="unpack the archive first"):
        load_video(str(tmp_path / "a.zip"))
