"""``Scheduler``: a policy for ``netenvs/CJS-v0`` that decides on a ``ClusterView`` instead of arrays.

::

    from agents.cjs import Decision, Scheduler

    class SmallestJobFirst(Scheduler):
        def decide(self, view):
            stage = min(view.schedulable, key=lambda s: s.job.remaining_work_ms)
            return Decision(stage, view.committable)
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from agents.policy import BatchPolicy, Policy, PolicyError
from netenvs.cjs.cluster_view import ClusterView, StageView
from netenvs.cjs.rules import Rule


class Decision(NamedTuple):
    """Give ``executors`` of those on offer to ``stage``."""

    stage: StageView | None
    """A schedulable stage; None: give the rest to no stage (``DECLINE``)."""
    executors: int
    """1 to ``view.committable``. What exceeds the stage's demand is offered again in the same round."""


DECLINE = Decision(None, 0)
"""Leave the executors on offer idle. They are offered again at the next arrival, or when their job's frontier
changes: declining is expensive."""


class Scheduler(Policy):
    """Base class: a scheduler defines ``decide``.

    An impossible decision is a ``PolicyError``, one line with the time and the stage.
    """

    def decide(self, view: ClusterView) -> Decision:
        """One decision. ``view.schedulable`` is not empty: where ``max_jobs`` hides all choices, nobody is asked."""
        raise NotImplementedError(f"{type(self).__name__} does not define decide(view)")

    def act(self, observation: Any, info: dict[str, Any]) -> np.ndarray:
        """int64 (2,): the decision as an action of the environment."""
        if "view" not in info:
            raise PolicyError("a Scheduler plays netenvs/CJS-v0 (task cjs), this environment has no info['view']")
        return self.action(info["view"])

    def action(self, view: ClusterView) -> np.ndarray:
        """int64 (2,): the checked decision as an action of the environment."""
        if not view.schedulable:
            return to_action(view, DECLINE)
        try:
            decision = self.decide(view)
        except Exception as error:
            kind = "" if isinstance(error, PolicyError) else f"{type(error).__name__}: "
            raise PolicyError(f"at {view.now_s:.3f} s: {kind}{error}").with_traceback(error.__traceback__) from error
        return to_action(view, decision)


class Heuristic(Scheduler, BatchPolicy):
    """A scheduler whose rule is also known to the fast engine, which then decides for many clusters at once.

    ``decide`` says what the rule does, and is used one cluster at a time; both decide equally.
    """

    def rule(self, num_executors: int) -> Rule:
        """What the kernel is to do in a cluster of this size."""
        raise NotImplementedError(f"{type(self).__name__} does not define rule(num_executors)")

    def act_batch(self, observations: Any, infos: dict[str, Any]) -> np.ndarray:
        """int64 (k, 2), decided inside the kernel, or with ``decide`` where the engine is ``simpy``."""
        clusters, rows = infos["clusters"], infos["row"]
        if clusters.has_rules:
            actions: np.ndarray = clusters.decide(self.rule(clusters.options.num_executors))[rows]
            return actions
        return np.array([self.action(view) for view in map(clusters.view, rows.tolist())])

    reset = Scheduler.reset
    act = Scheduler.act


def to_action(view: ClusterView, decision: Decision) -> np.ndarray:
    """int64 (2,) of a checked decision; ``PolicyError`` for one that is impossible."""
    now = f"at {view.now_s:.3f} s"
    try:
        stage, executors = decision
    except (TypeError, ValueError):
        what = "nothing" if decision is None else repr(decision)
        raise PolicyError(
            f"{now}: decide(view) returned {what}; return Decision(stage, executors) or DECLINE"
        ) from None
    if stage is None:
        if view.schedulable and not view.can_decline:
            raise PolicyError(
                f"{now}: declined although nothing else is going to happen; {len(view.jobs)} jobs would stay "
                f"unfinished. Choose one of {_some(view.schedulable)}"
            )
        return np.zeros(2, dtype=np.int64)
    if not isinstance(stage, StageView) or stage not in view.schedulable:
        raise PolicyError(f"{now}: {stage!r} is not schedulable; choose one of {_some(view.schedulable)}")
    whole = isinstance(executors, int | np.integer) and not isinstance(executors, bool)
    if not whole or not 1 <= executors <= view.committable:
        raise PolicyError(
            f"{now}, {stage!r}: executors must be a whole number from 1 to {view.committable} (view.committable), "
            f"not {executors!r}"
        )
    return np.array([stage.row, int(executors) - 1], dtype=np.int64)


def _some(stages: list[StageView]) -> str:
    text = ", ".join(map(repr, stages[:4]))
    return text if len(stages) <= 4 else f"{text}, ... ({len(stages)} in all)"
