"""MPDs: every way of naming segments, and what is refused."""

import pytest

from netenvs.abr.videos import load_video, read_videos

KBPS = (200, 400, 800)
SECONDS = 2


def mpd(body, attributes='mediaPresentationDuration="PT8S"'):
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        f'<MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static" {attributes}>{body}</MPD>'
    )


def adaptation(inside, extra="", kbps=KBPS):
    levels = "".join(
        f'<Representation id="v{k}" bandwidth="{k * 1000}" width="640">{extra}</Representation>' for k in kbps
    )
    return f'<AdaptationSet contentType="video">{inside}{levels}</AdaptationSet>'


def size(kbps, chunk):
    return kbps * 125 * SECONDS + 1000 * chunk


def files(names, kbps=KBPS):
    return {
        name.format(k=k, i=i + 1, t=i * 4, b=k * 1000): size(k, i) for k in kbps for i in range(4) for name in names
    }


WAYS = {
    "number": (
        '<SegmentTemplate media="$RepresentationID$/seg-$Number%03d$.m4s" duration="4" timescale="2" startNumber="1"/>',
        "v{k}/seg-{i:03d}.m4s",
    ),
    "time": (
        '<SegmentTemplate media="$Bandwidth$/$Time$.m4s" timescale="2">'
        '<SegmentTimeline><S t="0" d="4" r="2"/><S d="4"/></SegmentTimeline></SegmentTemplate>',
        "{b}/{t}.m4s",
    ),
    "to the end": (
        '<SegmentTemplate media="$RepresentationID$-$Number$.m4s" timescale="2">'
        '<SegmentTimeline><S t="0" d="4" r="-1"/></SegmentTimeline></SegmentTemplate>',
        "v{k}-{i}.m4s",
    ),
    "a dollar": (
        '<SegmentTemplate media="$$$RepresentationID$_$Number$.m4s" duration="2" endNumber="4"/>',
        "$v{k}_{i}.m4s",
    ),
}


@pytest.mark.parametrize("way", WAYS)
def test_templates(way, read, segments):
    template, name = WAYS[way]
    segments(files([name]))
    video, reading = read(mpd(f"<Period>{adaptation(template)}</Period>"), "video.mpd")
    assert reading.notes == [] and reading.formats == {"dash": 1}
    assert (video.bitrates_kbps.tolist(), video.num_chunks, video.chunk_duration_s) == (list(KBPS), 4, SECONDS)
    assert video.chunk_sizes.tolist() == [[size(k, i) for k in KBPS] for i in range(4)]


def test_base_urls_are_joined_and_inherited(read, segments):
    segments(files(["all/pictures/v{k}/{i}.m4s"]))
    template = '<SegmentTemplate media="$Number$.m4s" duration="2"/>'
    levels = "".join(
        f'<Representation id="v{k}" bandwidth="{k * 1000}"><BaseURL>v{k}/</BaseURL></Representation>' for k in KBPS
    )
    pictures = f'<AdaptationSet mimeType="video/mp4"><BaseURL>pictures/</BaseURL>{template}{levels}</AdaptationSet>'
    body = f"<BaseURL>all/</BaseURL><Period>{pictures}</Period>"
    video, _ = read(mpd(body), "video.mpd")
    assert video.chunk_sizes[3].tolist() == [size(k, 3) for k in KBPS]


def test_lists_and_ranges(read, segments):
    segments(files(["v{k}_{i}.m4s"]) | {"whole.mp4": 10})
    levels = ""
    for k in KBPS[:2]:
        urls = "".join(f'<SegmentURL media="v{k}_{i + 1}.m4s"/>' for i in range(4))
        levels += (
            f'<Representation bandwidth="{k * 1000}"><SegmentList duration="2">{urls}</SegmentList></Representation>'
        )
    ranges = "".join(f'<SegmentURL mediaRange="{i * 10**6}-{i * 10**6 + size(800, i) - 1}"/>' for i in range(4))
    levels += (
        '<Representation bandwidth="800000"><BaseURL>whole.mp4</BaseURL>'
        f'<SegmentList duration="2">{ranges}</SegmentList></Representation>'
    )
    video, _ = read(mpd(f'<Period><AdaptationSet contentType="video">{levels}</AdaptationSet></Period>'), "video.mpd")
    assert video.chunk_sizes.tolist() == [[size(k, i) for k in KBPS] for i in range(4)]


def test_sound_is_passed_over_and_periods_follow_each_other(read, segments):
    segments(files(["v{k}_{i}.m4s"]) | files(["2v{k}_{i}.m4s"]))
    sound = '<AdaptationSet contentType="audio"><Representation bandwidth="64000"/></AdaptationSet>'
    first = f'<Period duration="PT8S">{sound}{adaptation(GOOD)}</Period>'
    second = first.replace("$RepresentationID$", "2$RepresentationID$")
    video, reading = read(mpd(first + second, 'mediaPresentationDuration="PT16S"'), "video.mpd")
    assert video.num_chunks == 8 and reading.notes == []
    assert video.chunk_sizes[4:].tolist() == video.chunk_sizes[:4].tolist()


def test_a_last_segment_that_was_counted_too_much_is_left_out(read, segments):
    segments(files(["v{k}_{i}.m4s"]))
    template = '<SegmentTemplate media="$RepresentationID$_$Number$.m4s" duration="2"/>'
    video, reading = read(
        mpd(f"<Period>{adaptation(template)}</Period>", 'mediaPresentationDuration="PT8.01S"'), "a.mpd"
    )
    assert video.num_chunks == 4 and "the last segment" in reading.notes[0]


def test_uneven_segments_are_told(read, segments):
    segments(files(["v{k}_{i}.m4s"]))
    template = (
        '<SegmentTemplate media="$RepresentationID$_$Number$.m4s" timescale="1">'
        '<SegmentTimeline><S d="2"/><S d="3"/><S d="2"/><S d="1"/></SegmentTimeline></SegmentTemplate>'
    )
    video, reading = read(mpd(f"<Period>{adaptation(template)}</Period>"), "a.mpd")
    assert (
        video.chunk_duration_s == 2.0 and "segments last 2 to 3 s; each is played as a chunk of 2 s" in reading.notes[0]
    )


GOOD = '<SegmentTemplate media="$RepresentationID$_$Number$.m4s" duration="2"/>'
BAD = {
    "a bomb": ('<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]><MPD/>', "DOCTYPE or entities, which are refused"),
    "an external entity": ('<!DOCTYPE MPD [<!ENTITY a SYSTEM "file:///etc/passwd">]><MPD>&a;</MPD>', "are refused"),
    "live": ('<MPD type="dynamic"/>', "live stream"),
    "no period": (mpd(""), "no Period"),
    "no set": (mpd("<Period/>"), "without AdaptationSet"),
    "damaged": (mpd("<Period>"), "damaged"),
    "missing segment": (mpd(f"<Period>{adaptation(GOOD)}</Period>"), "segment 'v200_1.m4s' is not there"),
    "one file with an index": (
        mpd(f"<Period>{adaptation('', '<BaseURL>a.mp4</BaseURL><SegmentBase/>')}</Period>"),
        "package it in segments",
    ),
    "upwards": (mpd(f"<BaseURL>../</BaseURL><Period>{adaptation(GOOD)}</Period>"), "leaves the folder"),
    "hidden upwards": (mpd(f"<BaseURL>%2e%2e/</BaseURL><Period>{adaptation(GOOD)}</Period>"), "leaves the folder"),
    "absolute": (mpd(f"<BaseURL>/etc/</BaseURL><Period>{adaptation(GOOD)}</Period>"), "leaves the folder"),
    "a server": (mpd(f"<BaseURL>https://a.org/</BaseURL><Period>{adaptation(GOOD)}</Period>"), "is not on this disk"),
    "repeats without end": (
        mpd(
            "<Period>"
            + adaptation(
                '<SegmentTemplate media="a"><SegmentTimeline><S d="1" r="999999999999"/></SegmentTimeline>'
                "</SegmentTemplate>"
            )
            + "</Period>"
        ),
        "a level of 1000000000000 segments",
    ),
    "no duration": (mpd(f"<Period>{adaptation(GOOD)}</Period>", ""), "add mediaPresentationDuration"),
    "duration in words": (mpd("<Period/>", 'mediaPresentationDuration="long"'), "'long' is not a duration"),
    "timescale 0": (
        mpd(f"<Period>{adaptation(GOOD)}</Period>").replace("<SegmentTemplate ", '<SegmentTemplate timescale="0" '),
        "timescale is 0",
    ),
    "no bandwidth": (
        mpd("<Period><AdaptationSet><Representation/></AdaptationSet></Period>"),
        "bandwidth='' is not a whole",
    ),
}


@pytest.mark.parametrize("what", BAD)
def test_bad_manifests_are_one_line(what, tmp_path):
    content, message = BAD[what]
    path = tmp_path / "video.mpd"
    path.write_text(content)
    with pytest.raises(ValueError, match=message) as caught:
        load_video(f'dash(path="{path}")')
    assert str(caught.value).startswith(str(path)) and "\n" not in str(caught.value)


def test_links_that_leave_the_folder_are_refused(tmp_path, read, segments):
    outside = tmp_path / "outside.m4s"
    outside.write_bytes(bytes(50_000))
    (tmp_path / "in").mkdir()
    for k in KBPS:
        for i in range(4):
            (tmp_path / "in" / f"v{k}_{i + 1}.m4s").symlink_to(outside)
    with pytest.raises(ValueError, match="leaves the folder"):
        read(mpd(f"<Period>{adaptation(GOOD)}</Period>"), "in/video.mpd")


def test_a_folder_of_a_manifest_is_its_video(tmp_path, segments, read):
    segments(files(["v{k}_{i}.m4s"]))
    read(mpd(f"<Period>{adaptation(GOOD)}</Period>"), "video.mpd")
    (video,), reading = read_videos(tmp_path)
    assert video.num_levels == 3 and reading.formats == {"dash": 1}
