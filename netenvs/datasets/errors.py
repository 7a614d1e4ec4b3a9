"""The errors of this package. Each message is one line that names the thing and the remedy."""

from netenvs.errors import OneLineError


class DatasetError(OneLineError, ValueError):
    """A data set is missing, altered, unreadable or cannot be installed."""


class UnknownDatasetError(DatasetError):
    """No data set of that name is in the catalogue."""
