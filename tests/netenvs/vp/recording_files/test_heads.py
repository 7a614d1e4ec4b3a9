"""How quaternions are told apart by how upright heads are, on real ones, and what axes may be said."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from netenvs.vp.recording_files import heads
from netenvs.vp.workload import load_recordings


@pytest.mark.parametrize(("name", "most_unsure"), [("jin2022", 1), ("wu2017", 0)])
def test_the_order_of_real_quaternions_is_seen(request, name, most_unsure):
    request.getfixturevalue(name)
    recordings = load_recordings(name)
    unsure = 0
    for begin, end in zip(recordings.offset[:-1], recordings.offset[1:], strict=True):
        last = Rotation.from_euler("ZXY", recordings.angles_deg[begin:end], degrees=True).as_quat()
        for scalar, quaternions in (("xyzw", last), ("wxyz", last[:, [3, 0, 1, 2]])):
            found = heads.by_content(quaternions, "xyzw", "")
            assert found.axes == heads.Y_UP
            unsure += found.upright < heads.UPRIGHT
            assert found.scalar == scalar or found.upright < heads.UPRIGHT
    assert unsure <= 2 * most_unsure


@pytest.mark.parametrize("axes", ["xyz", "x-yz", "-yzx", "zxy", "-x-y-z"])
def test_axes_take_vectors_and_turns_alike(axes):
    """A turned vector is the vector turned, in either frame."""
    rng = np.random.default_rng(0)
    turns, vectors = Rotation.random(20, rng=0), rng.normal(size=(20, 3))
    matrix = heads.axes_matrix(axes, "a file")
    ours = Rotation.from_quat(heads.in_order(turns.as_quat(), "xyzw", matrix))
    np.testing.assert_allclose(ours.apply(vectors @ matrix.T), turns.apply(vectors) @ matrix.T, atol=1e-12)


@pytest.mark.parametrize("axes", ["", "xy", "xyy", "xyzz", "x-y-", "abc", "XYZ"])
def test_axes_that_are_none(axes):
    with pytest.raises(ValueError, match="a file: axes must say what points right, up and forward"):
        heads.axes_matrix(axes, "a file")
