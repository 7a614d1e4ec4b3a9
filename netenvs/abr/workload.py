"""What drives an adaptive bitrate session: bandwidth traces and a video, as typed arrays.

``load_traces``, ``load_video`` and ``load_videos`` turn the names and paths of ``gym.make`` options into checked,
read-only arrays. This module is where users import from; each name has its home in a module of its own.
"""

from netenvs.abr.installed import DATASET
from netenvs.abr.records import TraceSet, Video, join_traces, make_trace_set
from netenvs.abr.traces import load_traces
from netenvs.abr.videos import load_video, load_videos, read_videos

__all__ = [
    "DATASET",
    "TraceSet",
    "Video",
    "join_traces",
    "load_traces",
    "load_video",
    "load_videos",
    "make_trace_set",
    "read_videos",
]
