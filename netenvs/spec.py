"""Names with options in brackets: ``genet(space=udr2,count=50)``.

The same notation names trace generators in ``gym.make(..., traces=...)`` and policies on command lines.
"""

from __future__ import annotations

import difflib
import inspect
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any


def parse_spec(text: str) -> tuple[str, dict[str, Any]]:
    """Split ``name(key=value,...)`` into the name and its options.

    Values are read as JSON where they are JSON (``3``, ``0.5``, ``true``, ``null``, ``[1, 2]``) and as
    plain strings otherwise; a string in double quotes may hold brackets and commas. Raises ``ValueError`` for
    unbalanced brackets, an option without a value, or an option given twice.
    """
    text = text.strip()
    if "(" not in text:
        return text, {}
    name, _, rest = text.partition("(")
    if not rest.endswith(")"):
        raise ValueError(f"{text!r}: the closing bracket is missing; write name(key=value,...)")
    depths = [depth for _, depth in _depths(rest[:-1])]
    if min(depths, default=0) < 0 or (depths and depths[-1] != 0):
        raise ValueError(f"{text!r}: brackets do not match; write name(key=value,...)")
    options: dict[str, Any] = {}
    for part in split_specs(rest[:-1]):
        key, equals, value = (piece.strip() for piece in part.partition("="))
        if not equals or not key or not value:
            raise ValueError(f"{text!r}: option {part!r} is not of the form key=value")
        if key in options:
            raise ValueError(f"{text!r}: option {key!r} is given twice")
        options[key] = parse_value(value)
    return name.strip(), options


def parse_value(text: str) -> Any:
    """Read one option value: JSON where it is JSON (``True``/``None`` as in Python too), else the string."""
    text = {"True": "true", "False": "false", "None": "null"}.get(text, text)
    try:
        return json.loads(text, parse_constant=lambda constant: constant)  # NaN stays a string
    except (json.JSONDecodeError, RecursionError):
        return text


def check_option_types(target: Callable[..., Any], options: dict[str, Any]) -> None:
    """``ValueError`` for an option whose default is a number, a truth value or a string, and its value is not."""
    for name, parameter in inspect.signature(target).parameters.items():
        default, value = parameter.default, options.get(name, parameter.default)
        for kind, meaning in ((bool, "true or false"), ((int, float), "a number"), (str, "a name")):
            if isinstance(default, kind):
                if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
                    raise ValueError(f"{name} must be {meaning}, not {value!r}")
                break


def split_specs(text: str) -> list[str]:
    """Split a comma-separated list, leaving commas inside brackets alone; empty parts are dropped."""
    parts, start = [], 0
    for position, (character, depth) in enumerate(_depths(text)):
        if character == "," and depth == 0:
            parts.append(text[start:position])
            start = position + 1
    parts.append(text[start:])
    return [part.strip() for part in parts if part.strip()]


def _depths(text: str) -> Iterator[tuple[str, int]]:
    """Each character, those in double quotes blanked, and how many brackets are open after it."""
    depth, quoted, before = 0, False, "="
    for character in text:
        if character == '"' and (quoted or before in "=,(["):  # elsewhere it is a character of a name
            quoted = not quoted
        elif not quoted:
            depth += (character in "([") - (character in ")]")
        yield ('"' if quoted else character), depth
        before = character if not character.isspace() else before


def unknown_name(kind: str, name: str, known: Iterable[str]) -> str:
    """One line for an unknown name: what it is, the nearest known name, and all known names."""
    names = sorted(known)
    close = difflib.get_close_matches(name, names, n=1)
    hint = f"did you mean {close[0]!r}? " if close else ""
    return f"unknown {kind} {name!r}; {hint}known: {', '.join(names)}"


def parse_settings(pairs: Sequence[str]) -> dict[str, Any]:
    """Options of a command line's ``--set KEY=VALUE``; ``ValueError`` for one that is not so, or given twice."""
    options: dict[str, Any] = {}
    for pair in pairs:
        key, equals, value = (part.strip() for part in pair.partition("="))
        if not (key and equals and value):
            raise ValueError(f"--set {pair}: write KEY=VALUE")
        if key in options:
            raise ValueError(f"--set {key}: given twice")
        options[key] = parse_value(value)
    return options
