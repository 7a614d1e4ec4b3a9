"""What models of transformers have in common: how they are read without a word, and what goes wrong, in one line."""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import Iterator

import transformers
from torch import nn

from netenvs.errors import flat


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """No progress bars and reports of unused heads."""
    logging = transformers.logging
    verbosity, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)
        if bars:
            logging.enable_progress_bar()


def one_line(error: BaseException) -> str:
    """The message of an error without its line breaks, cut off where it is long."""
    return flat(error, 200).rstrip(" .:") or type(error).__name__


def cache_argument(network: nn.Module) -> str:
    """What the model calls the cache that it takes and returns: it was renamed within transformers 5."""
    return "cache" if "cache" in inspect.signature(network.forward).parameters else "past_key_values"
