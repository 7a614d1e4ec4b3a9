"""Ways to damage an input: seeded, and none of them knows what it damages but the one for JSON."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from typing import Any

Tree = dict[str, bytes]
"""Relative path -> content of the files of one input."""

ODD_NUMBERS = (
    *("0", "-1", "-0.0", "1e308", "-1e308", "1e-320", "nan", "inf", "-inf", "NaN", "Infinity", "1e999", "9" * 400),
    *("2147483647", "2147483648", "-2147483649", "9223372036854775807", "18446744073709551616", "4294967295"),
    *("0x10", "1_000", "1,5", "٣", "1e", "--3", ".", "", "true", "null", "1.5.2", "00:00:01", "2019.12.14_10.16.30"),
)
ODD_WORDS = (
    *("\x00", "\x1b[31mred\x1b[0m", "\r", "\n", "\t", "\ufeff", "\u202e", "ä" * 300, "[" * 5000, "{" * 5000, '"', "'"),
    *("[red]", "../../etc/passwd", "/dev/zero", "x" * 70_000, "%s%n", "__class__", "=cmd()", "#", "//", ";;;;", ",,,,"),
    *("<!DOCTYPE x [<!ENTITY a 'b'>]>", "&a;", "NaN", "\\", "\\u0000", "-", "+", "e"),
)
ODD_JSON: tuple[Any, ...] = (
    *(None, True, False, 0, -1, 1, 2**31, 2**63, 10**400, -(10**30), 0.5, 1e308, float("nan"), float("inf"), "", "x"),
    *(
        "\x1b[31m",
        "9" * 5000,
        [],
        {},
        [[]],
        [None],
        [1, 2, 3],
        {"a": 1},
        [[[[[[]]]]]],
        [0] * 1000,
        "nan",
        "../x",
        "1e5",
    ),
)


def mutated(tree: Tree, rng: random.Random, others: list[Tree]) -> Tree:
    """A copy with one to four things wrong; ``others`` are inputs of the same kind to take pieces of."""
    result = dict(tree)
    for _ in range(rng.choice((1, 1, 1, 2, 4))):
        name = rng.choice(sorted(result))
        donor = rng.choice(others)
        result[name] = _mutate(result[name], rng, donor[rng.choice(sorted(donor))])
        if rng.random() < 0.05:
            result.pop(rng.choice(sorted(result)))
            result = result or {name: b""}
    return result


def _mutate(content: bytes, rng: random.Random, donor: bytes) -> bytes:
    if content[:1] in b"{[" and rng.random() < 0.5:
        try:
            return _json(content, rng)
        except (ValueError, RecursionError):
            pass
    return rng.choice(MUTATORS)(content, rng, donor)


def _json(content: bytes, rng: random.Random) -> bytes:
    """One value of a JSON file, or of one of its lines, is replaced, taken out, doubled or nested."""
    text = content.decode()
    try:
        return json.dumps(_changed(json.loads(text), rng)).encode()
    except ValueError:
        lines = text.splitlines()
        number = rng.randrange(len(lines))
        lines[number] = json.dumps(_changed(json.loads(lines[number]), rng))
        return "\n".join(lines).encode()


def _changed(value: Any, rng: random.Random) -> Any:
    if not isinstance(value, dict | list) or not value or rng.random() < 0.1:
        return rng.choice(ODD_JSON)
    key = rng.choice(sorted(value)) if isinstance(value, dict) else rng.randrange(len(value))
    act = rng.random()
    if act < 0.1:
        value.pop(key)
    elif act < 0.15 and isinstance(value, list):
        value.insert(key, value[key])
    elif act < 0.2 and isinstance(value, dict):
        value[rng.choice(ODD_WORDS)] = value[key]
    else:
        value[key] = _changed(value[key], rng)
    return value


def _bits(content: bytes, rng: random.Random, donor: bytes) -> bytes:
    changed = bytearray(content)
    for _ in range(rng.choice((1, 3, 20))):
        if changed:
            changed[rng.randrange(len(changed))] ^= 1 << rng.randrange(8)
    return bytes(changed)


def _cut(content: bytes, rng: random.Random, donor: bytes) -> bytes:
    return content[: rng.randrange(len(content) + 1)]


def _behead(content: bytes, rng: random.Random, donor: bytes) -> bytes:
    return content[rng.randrange(len(content) + 1) :]


def _erase(content: bytes, rng: random.Random, donor: bytes) -> bytes:
    start = rng.randrange(len(content) + 1)
    return content[:start] + content[start + rng.choice((1, 4, 100)) :]


def _fill(content: bytes, rng: random.Random, donor: bytes) -> bytes:
    start, length = rng.randrange(len(content) + 1), rng.choice((1, 4, 8, 64))
    return content[:start] + rng.choice((b"\x00", b"\xff", b"\x80", b" ", b"9")) * length + content[start + length :]


def _splice(content: bytes, rng: random.Random, donor: bytes) -> bytes:
    return content[: rng.randrange(len(content) + 1)] + donor[rng.randrange(len(donor) + 1) :]


def _repeat(content: bytes, rng: random.Random, donor: bytes) -> bytes:
    start = rng.randrange(len(content) + 1)
    piece = content[start : start + rng.choice((1, 20, 500))]
    return content[:start] + piece * rng.choice((2, 50)) + content[start:]


def _insert(content: bytes, rng: random.Random, donor: bytes) -> bytes:
    start = rng.randrange(len(content) + 1)
    return content[:start] + rng.choice(ODD_WORDS).encode("utf-8", "surrogatepass") + content[start:]


def _lines(content: bytes, rng: random.Random, donor: bytes) -> bytes:
    lines = content.split(b"\n")
    first, second = rng.randrange(len(lines)), rng.randrange(len(lines))
    act = rng.randrange(4)
    if act == 0:
        lines[first], lines[second] = lines[second], lines[first]
    elif act == 1:
        lines.insert(second, lines[first])
    elif act == 2:
        del lines[min(first, second) : max(first, second)]
    else:
        lines[first:] = rng.sample(lines[first:], len(lines) - first)
    return rng.choice((b"\n", b"\n", b"\r\n", b"\r", b"\n\n")).join(lines)


def _word(content: bytes, rng: random.Random, donor: bytes) -> bytes:
    """One field of one line is replaced."""
    lines = content.split(b"\n")
    number = rng.randrange(len(lines))
    separator = next((mark for mark in (b",", b";", b"\t", b" ", b":") if mark in lines[number]), b" ")
    words = lines[number].split(separator)
    words[rng.randrange(len(words))] = rng.choice((*ODD_NUMBERS, *ODD_WORDS)).encode("utf-8", "surrogatepass")
    lines[number] = separator.join(words)
    return b"\n".join(lines)


def _separator(content: bytes, rng: random.Random, donor: bytes) -> bytes:
    old, new = rng.sample((b",", b";", b"\t", b" ", b"."), 2)
    return content.replace(old, new, rng.choice((-1, -1, 3)))


MUTATORS: tuple[Callable[[bytes, random.Random, bytes], bytes], ...] = (
    *(_bits, _cut, _behead, _erase, _fill, _splice, _repeat, _insert, _lines, _word, _word, _word, _separator),
)
