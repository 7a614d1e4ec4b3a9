"""Errors as text for people."""

import pytest

from netenvs.errors import reason


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (ValueError("no\n such  trace"), "no such trace"),
        (ValueError(), "ValueError"),
        (KeyError("loadd"), "KeyError: 'loadd'"),  # a bare key says nothing
    ],
    ids=repr,
)
def test_the_reason_is_a_line(error, text):
    assert reason(error) == text
