"""Rows of the observation of ``netenvs/ABR-v0``; units and scales are in the table of ``netenvs.abr.env.ABREnv``."""

ROWS = 6
BITRATE, BUFFER, THROUGHPUT, DOWNLOAD_TIME, NEXT_SIZES, CHUNKS_LEFT = range(ROWS)
