"""Print how ``stochastic-mpc`` fares on the training sets with several settings: why ``agents.abr.experts`` has two.

    python docs/expert_settings.py

It takes half a minute, and says which sets are not installed.
"""

from __future__ import annotations

from agents.abr.scores import score
from agents.abr.stochastic_mpc import StochasticMPC
from agents.abr.training_worlds import KNOWN_VIDEO, TRAINED_ON
from agents.statistics import mean
from netenvs import datasets
from netenvs.abr.installed import INSTALLED_SPLITS

SETTINGS = (
    (20.0, 0.1, 20.0),
    (28.0, 0.1, 20.0),
    (28.0, 0.2, 20.0),
    (40.0, 0.1, 20.0),
    (40.0, 0.2, 20.0),
    (40.0, 0.2, 30.0),
    (64.0, 0.2, 20.0),
    (64.0, 0.2, 30.0),
    (64.0, 0.4, 30.0),
)
"""Of ``horizon_s``, ``buffer_value`` and ``enough_s``."""
EPISODES = 120


def main() -> None:
    """Print a table in Markdown: a row for each training set, a column for each of the settings."""
    print("| trained on |", *(f"{horizon:g} s, {value:g}, {enough:g} s |" for horizon, value, enough in SETTINGS))
    print("|", *("---|" for _ in range(len(SETTINGS) + 1)), sep="")
    for name in TRAINED_ON:
        if not datasets.installed(INSTALLED_SPLITS[name]):
            print(f"{name} is not installed")
            continue
        start = "random" if name == TRAINED_ON[0] else "stored"
        found = [mean(score(StochasticMPC("", *one), name, KNOWN_VIDEO, EPISODES, start=start)) for one in SETTINGS]
        print(f"| `{name}` |", *(f"{value:.3f} |" for value in found), flush=True)


if __name__ == "__main__":
    main()
