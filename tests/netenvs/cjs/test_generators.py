"""Generated jobs: what they depend on, and that they follow the statistics measured on netllm-tpch."""

import numpy as np
import pytest

from netenvs.cjs import generators
from netenvs.cjs.jobs import FIRST, FRESH, LEVELS, REST
from netenvs.cjs.workload import load_workload


@pytest.fixture(scope="module")
def jobs():
    return load_workload("synthetic(count=300,seed=5)")


def columns(jobs):
    """Mean duration by (stage, wave, level), NaN where there are no samples."""
    means = np.full((len(jobs.num_tasks), 3, len(LEVELS)), np.nan)
    for cell in np.argwhere(jobs.cell_count[:, :, : len(LEVELS)]):
        start, count = jobs.cell_start[tuple(cell)], jobs.cell_count[tuple(cell)]
        means[tuple(cell)] = jobs.durations_ms[start : start + count].mean()
    return means


def content(jobs, index):
    job = jobs.template(index)
    samples = [job.durations(s, w, level).tolist() for s in range(len(job)) for w in range(3) for level in LEVELS]
    return job.num_tasks.tolist(), job.edges, samples


def test_a_job_depends_on_seed_and_number_only():
    few, many = load_workload("synthetic(count=3,seed=7)"), load_workload("synthetic(count=6,seed=7)")
    for index in range(3):
        assert few.names[index] == many.names[index] == f"synthetic-7-{index:03d}"
        assert content(few, index) == content(many, index)
    contents = [content(many, index) for index in range(6)]
    assert all(contents.count(one) == 1 for one in contents)
    assert content(load_workload("synthetic(count=3,seed=8)"), 0) not in contents


def test_the_default_is_100_jobs_of_seed_0():
    assert load_workload("synthetic").names == load_workload("synthetic(count=100,seed=0)").names
    assert len(load_workload("synthetic")) == 100


def test_a_workload_is_generated_once():
    assert load_workload("synthetic(count=2)") is load_workload("synthetic(count=2)")


def test_graphs(jobs):
    parents, children = np.diff(jobs.parent_offset), np.diff(jobs.child_offset)
    assert set(np.diff(jobs.stage_offset)) == set(generators.STAGE_COUNTS)
    for index in range(len(jobs)):
        job = jobs.template(index)
        sinks = [stage for stage in range(len(job)) if len(job.children(stage)) == 0]
        assert sinks == [len(job) - 1]
    # of the 202 published stages 78 have no parents, 64 one, 57 two, 3 three; 7 of 180 have a second child
    np.testing.assert_allclose([np.mean(parents == n) for n in range(3)], [78 / 202, 64 / 202, 57 / 202], atol=0.06)
    assert 0 < np.mean(children >= 2) < 0.06


def test_task_counts(jobs):
    sources, sinks = np.diff(jobs.parent_offset) == 0, np.diff(jobs.child_offset) == 0
    inner = ~sources & ~sinks
    assert np.mean(jobs.num_tasks[inner] == 200) == pytest.approx(0.931, abs=0.03)
    assert np.median(jobs.num_tasks[sources]) == pytest.approx(9, abs=3)
    assert np.median(jobs.num_tasks[sinks]) == pytest.approx(3, abs=1)
    assert jobs.num_tasks.min() >= 1
    assert jobs.num_tasks.max() <= 593


def test_lists_are_as_long_as_those_of_a_measurement(jobs):
    counts = jobs.cell_count[:, :, : len(LEVELS)].astype(int)
    in_first_wave = np.minimum(jobs.num_tasks[:, None], LEVELS)
    np.testing.assert_array_equal(counts[:, REST], jobs.num_tasks[:, None] - in_first_wave)
    # an empty list of first durations is filled from the next lower level, where there is one
    own = counts[:, FIRST] + counts[:, FRESH] == in_first_wave
    assert own.mean() > 0.95
    assert (counts[:, FRESH] <= in_first_wave).all()
    assert ((counts[:, FRESH] > 0) | (counts[:, FIRST] > 0)).all()
    sources = np.diff(jobs.parent_offset) == 0
    assert np.mean(counts[sources, FRESH, 3] > 0) == pytest.approx(generators.FRESH_STAGE_SHARE["source"], abs=0.06)
    assert np.mean(counts[~sources, FRESH, 3] > 0) == pytest.approx(generators.FRESH_STAGE_SHARE["other"], abs=0.05)


def test_durations_slow_down_with_parallelism_and_in_early_waves(jobs):
    means = columns(jobs)
    reference = LEVELS.index(generators.REFERENCE_LEVEL)
    slowdown = np.nanmedian(means[:, REST] / means[:, REST, reference, None], axis=0)
    np.testing.assert_allclose(slowdown, generators.REST_SLOWDOWN, rtol=0.05)
    at_5, at_100 = (means[:, REST, level] / means[:, REST, reference] for level in (0, -1))
    np.testing.assert_allclose(np.nanquantile(at_5, (0.05, 0.25, 0.75, 0.95)), [0.33, 0.46, 0.78, 0.91], atol=0.06)
    np.testing.assert_allclose(np.nanquantile(at_100, (0.05, 0.25, 0.75, 0.95)), [1.08, 1.26, 1.95, 2.46], rtol=0.08)
    sources = np.diff(jobs.parent_offset) == 0
    big = jobs.num_tasks > generators.REFERENCE_LEVEL
    factor = means[:, FIRST, reference] / means[:, REST, reference]
    assert np.nanmedian(factor[sources & big]) == pytest.approx(1.14, rel=0.15)
    assert np.nanmedian(factor[~sources & big]) == pytest.approx(3.85, rel=0.15)
    fresh = means[:, FRESH, reference] / means[:, FIRST, reference]
    assert np.nanmedian(fresh) == pytest.approx(1.65, rel=0.2)


def test_amounts_are_those_of_tpch(jobs):
    """Published: 1,155 tasks and 889 s of work a job (tasks x rough duration); median sample 147 ms."""
    tasks = np.add.reduceat(jobs.num_tasks, jobs.stage_offset[:-1])
    work_s = np.add.reduceat(jobs.num_tasks * jobs.rough_ms, jobs.stage_offset[:-1]) / 1000
    assert tasks.mean() == pytest.approx(1155, rel=0.1)
    assert work_s.mean() == pytest.approx(889, rel=0.15)
    assert np.log(work_s).std() == pytest.approx(1.2, abs=0.3)
    assert np.median(jobs.durations_ms) == pytest.approx(147, rel=0.2)
    assert jobs.durations_ms.mean() == pytest.approx(798, rel=0.15)
    assert jobs.durations_ms.min() >= 1
