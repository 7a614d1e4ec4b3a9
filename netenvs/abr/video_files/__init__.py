"""Files of videos: one reader a format, in the order in which they are asked whether a file is theirs.

Formats are documented, each with its source, in the modules of this folder.
"""

from __future__ import annotations

from netenvs.abr.video_files.dash import DASH
from netenvs.abr.video_files.hls import HLS, is_master, is_playlist
from netenvs.abr.video_files.json_manifest import JSON
from netenvs.abr.video_files.sabre import SABRE
from netenvs.abr.video_files.segments import is_segment
from netenvs.abr.video_files.size_files import SIZE_FILES, put_together
from netenvs.readers.reader import Reader
from netenvs.readers.sources import Source

READERS: tuple[Reader, ...] = (SIZE_FILES, DASH, HLS, SABRE, JSON)
"""The most particular first; ``json`` takes whatever looks like JSON."""


def group(sources: list[Source]) -> list[Source]:
    """The sources that are videos: files ``video_size_*`` of a folder as one, manifests without what belongs to them.

    Segments and the media playlists of a master playlist are left to the manifests that name them, unless there is
    nothing else.
    """
    kept = [source for source in sources if not is_segment(source.parts[-1])]
    if any(is_master(source) for source in kept):
        kept = [source for source in kept if is_master(source) or not is_playlist(source)]
    return put_together(kept or sources)
