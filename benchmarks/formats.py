"""Numbers as people read them, the same in the table, the plots and the report."""

from __future__ import annotations

MISSING = "-"


def number(value: float | None, small: int = 3, decimals: int | None = None) -> str:
    """``decimals`` of them; without it three below 10, then two, one, none, and ``small`` below 0.1; ``-`` for None."""
    if value is None:
        return MISSING
    if decimals is None:
        size = abs(value)
        decimals = small if size < 0.1 else 3 if size < 10 else 2 if size < 100 else 1 if size < 1000 else 0
    text = f"{value:,.{decimals}f}"
    return text.lstrip("-") if float(text.replace(",", "")) == 0 else text  # no minus zero


def signed(value: float | None, decimals: int | None = None) -> str:
    """``number`` with its sign, for differences."""
    text = number(value, decimals=decimals)
    return text if value is None or text.startswith("-") else f"+{text}"


def interval(bounds: tuple[float, float] | None, decimals: int | None = None) -> str:
    """``[low, high]``, or ``-`` where there is none."""
    if bounds is None:
        return MISSING
    low, high = (number(bound, decimals=decimals) for bound in bounds)
    return f"[{low}, {high}]"


def percent(value: float | None) -> str:
    """A difference in percent: one decimal, with its sign, for a heading that says %."""
    return MISSING if value is None else f"{_one_decimal(value):+}"


def percent_interval(bounds: tuple[float, float] | None) -> str:
    """``[low, high]`` in percent, or ``-`` where there is none."""
    return MISSING if bounds is None else f"[{_one_decimal(bounds[0])}, {_one_decimal(bounds[1])}]"


def _one_decimal(value: float) -> float:
    return round(value, 1) + 0.0  # no minus zero


def milliseconds(value: float | None) -> str:
    """A duration in ms; ``<0.001`` for what the clock hardly sees."""
    return "<0.001" if value is not None and value < 0.0005 else number(value)


def plural(number_of: int, what: str) -> str:
    """``1 episode``, ``2,000 episodes``."""
    return f"{number_of:,} {what}{'' if number_of == 1 else 's'}"


def count(value: int | None) -> str:
    """A number of parameters or bytes: ``1,234``, ``56.7 k``, ``1.23 M``, ``6.74 G``."""
    if value is None:
        return MISSING
    for unit, size in (("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if value >= 10 * size or (value >= size and unit != "k"):
            return f"{value / size:.3g} {unit}"
    return f"{value:,}"
