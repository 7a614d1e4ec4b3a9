"""``EnvironmentOptions``: the options of an environment as one frozen record, which is passed whole.

An option is a field of the task's record, a row of the table in its environment's docstring, and what the dynamics
make of it; everything else, from ``inspect.signature`` to command lines, is derived.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from inspect import Parameter, signature
from typing import Any, Self, TypeVar

from netenvs.spec import unknown_name

Constructor = TypeVar("Constructor", bound=Callable[..., None])


class UnknownOption(ValueError, TypeError):
    """An option that an environment does not have.

    A ``TypeError`` in Python's words too: libraries that try an argument, as TorchRL tries ``frameskip``, look for one.
    """


@dataclass(frozen=True, kw_only=True)
class EnvironmentOptions:
    """Base of the tasks' records, frozen and keyword-only.

    ``__post_init__`` checks what can be checked without data, ``ValueError``, one line, and may put a value into the
    form in which it is used.
    """

    @classmethod
    def of(cls, given: Mapping[str, Any], base: Self | None = None) -> Self:
        """The options ``given`` by name, the others as in ``base`` or by default.

        ``UnknownOption``, a ``ValueError``, one line with a suggestion, for an unknown name.
        """
        known = [field.name for field in fields(cls)]
        for name in given:
            if name not in known:
                raise UnknownOption(f"{unknown_name('option', name, known)} (unexpected keyword argument {name!r})")
        return cls(**given) if base is None else replace(base, **given)

    def _put(self, **values: Any) -> None:
        """Replace values, in ``__post_init__`` only."""
        for name, value in values.items():
            object.__setattr__(self, name, value)


def takes(record: type[EnvironmentOptions]) -> Callable[[Constructor], Constructor]:
    """Decorator of a constructor with ``**options``: its signature shows each option with its default."""

    def decorate(constructor: Constructor) -> Constructor:
        own = signature(constructor)
        before = [p for p in own.parameters.values() if p.kind is Parameter.POSITIONAL_OR_KEYWORD]
        after = [p for p in own.parameters.values() if p.kind is Parameter.KEYWORD_ONLY]
        options = list(signature(record).parameters.values())
        constructor.__signature__ = own.replace(parameters=[*before, *options, *after])  # type: ignore[attr-defined]
        return constructor

    return decorate
