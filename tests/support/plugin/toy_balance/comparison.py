"""How policies are compared: requests waiting, the fewer the better."""

from benchmarks.tasks.setup import Metric, Setup, TaskComparison, Term


def _setup(env):
    return Setup(
        dataset=env.unwrapped.load,
        metric=Metric("waiting", "requests", "lower", "requests waiting"),
        terms=(Term("last", "requests left", "left\nrequests", "lower", "Requests that wait in the end."),),
        score=lambda episode: float(episode.columns["waiting"].mean()),
        term_values=lambda episode: {"last": float(episode.columns["waiting"][-1])},
    )


TASK = TaskComparison(setup=_setup, terms_title="what is left", reference="round-robin")
