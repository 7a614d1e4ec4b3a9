"""What Decima's network knows of decisions: steps end to end, and the same from views."""

import numpy as np

from agents.cjs.decima.decisions import join, of_view, stage_heights


def test_joined_decisions_are_those_of_all_rows(engine, packed):
    whole = packed()
    joined = join([packed([0, 1]), packed([2]), packed([3, 4, 5])])
    for name, values in joined._asdict().items():
        np.testing.assert_array_equal(values, getattr(whole, name), err_msg=name)


def test_views_and_observations_say_the_same(engine, packed):
    """But for the precision of features; edges are in order of their parents, not of their children."""
    heights = stage_heights(engine.jobs)
    for row in range(len(engine.outcomes)):
        expected, found = packed([row]), of_view(engine.view(row), heights)
        for name in ("nodes", "jobs"):
            np.testing.assert_allclose(getattr(found, name), getattr(expected, name), rtol=1e-6)
        for name in ("node_offset", "job_offset", "edge_offset", "node_job", "height", "demand", "limits"):
            np.testing.assert_array_equal(getattr(found, name), getattr(expected, name), err_msg=name)
        assert sorted(found.edges.tolist()) == sorted(expected.edges.tolist())
        assert found.num_executors.tolist() == [7]
