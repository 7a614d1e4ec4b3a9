"""Files of bandwidth traces: one reader a format, in the order in which they are asked whether a file is theirs.

Formats are documented, each with its source, in the modules of this folder.
"""

from netenvs.abr.trace_files.cellular import FIVE_G_DATASET, GHENT, HSDPA, LUMOS5G
from netenvs.abr.trace_files.fcc import FCC
from netenvs.abr.trace_files.lumos_wifi import LUMOS_WIFI
from netenvs.abr.trace_files.mahimahi import MAHIMAHI
from netenvs.abr.trace_files.named_columns import CSV
from netenvs.abr.trace_files.puffer import PUFFER
from netenvs.abr.trace_files.sabre import SABRE
from netenvs.abr.trace_files.two_columns import OBOE, PENSIEVE
from netenvs.readers.reader import Reader

READERS: tuple[Reader, ...] = (
    SABRE,
    PUFFER,
    FCC,
    LUMOS5G,
    LUMOS_WIFI,
    FIVE_G_DATASET,
    GHENT,
    HSDPA,
    MAHIMAHI,
    OBOE,
    PENSIEVE,
    CSV,
)
"""The most particular first; ``csv`` takes whatever has a header."""
