"""Synthetic head motion: what the environment plays when no data set is installed.

A user's gaze has a goal that steps from place to place, and a head that follows it, on each of the three axes. Steps
come at random moments, more and larger ones while the user is active. A step of yaw aims at the hot spot of the video,
which all users share, or goes anywhere; at a cut the hot spot takes a new place, to which many users turn at once.
Pitch and roll step with yaw and return to the user's posture. The head follows as a critically damped second-order
system: its velocity after a step is ``t exp(-w t)``, whose autocorrelation ``(1 + w lag) exp(-w lag)`` is that of
recorded head velocities.

Presets ``jin`` and ``wu`` are fitted to the statistics of the public data sets Jin2022 and Wu2017 that
``netenvs/vp/motion_statistics.py`` lists, measures and compares; no recording of theirs is in here.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from statistics import NormalDist
from types import MappingProxyType

import numpy as np

from netenvs.spec import unknown_name
from netenvs.vp.recordings import RATE_HZ, Recordings, Split

SUBSTEPS = 2
"""Steps of the simulation per sample."""
STEP_S = 1 / (RATE_HZ * SUBSTEPS)

# Chosen by hand; the presets were fitted with these in place.
LARGEST_STEP_DEG = 170.0
STIFFNESS_PER_S = (1.0, 25.0)
"""Limits of the head's stiffness w."""
USUAL_STEP_DEG = 20.0
"""Step that the head follows with the stiffness of its axis."""
NEAR_DEG, FAR_DEG = 20.0, 45.0
"""A goal nearer than the first to the hot spot moves along with it; a step aims at the hot spot with the probability
attention * (1 - exp(-distance / the second))."""
TREMOR_EXPONENT = 0.7
HIGHEST_PITCH_DEG = 85.0
REACTION_S = 1.0
"""Mean time from a cut to a user's turn to the hot spot."""
SWERVE_S = 2.0
"""Time in which a hot spot changes its velocity."""
RECENTRE_S = 40.0
"""Time in which a hot spot drifts back to the front."""


@dataclass(frozen=True)
class Preset:
    """Parameters of the generator.

    All but the first two were fitted together, on seeds from 1000 up, by least squares over the rows of
    ``motion_statistics.REAL``, the shares of pauses of one and of at most two samples (0.425 and 0.587 in both data
    sets) and what the other users' direction tells of a user's next four seconds. Several trade off against each
    other, so a single one means little alone.
    """

    front_deg: float
    """Yaw of the middle of the videos: circular mean of all samples of the data set."""
    jitter_deg: float
    """Standard deviation of each sample's noise: still heads read 0.2 to 0.3 deg/s (5 % quantile of speed)."""
    activity_user: float
    activity_video: float
    activity_now: float
    """Standard deviations of the three parts of a log-activity: a user's, a video's, and one that comes and goes ..."""
    activity_s: float
    """... in this time."""
    steps_per_s: float
    steps_exponent: float
    """Steps come at a rate of steps_per_s * activity**steps_exponent."""
    step_log_deg: float
    step_log_sd: float
    step_exponent: float
    """Their size is lognormal, times activity**step_exponent."""
    attention: float
    attention_sd: float
    """Median over videos of the share of steps that aim at the hot spot, and the spread of its logit."""
    aim_deg: float
    """Standard deviation of where these end, around the hot spot."""
    persistence: float
    """Share of the other steps that go on in the direction of the step before."""
    follow: float
    """Share of a hot spot's own motion that goals near it follow."""
    stiffness_yaw: float
    stiffness_pitch: float
    stiffness_roll: float
    """Stiffness w of the axes, 1/s, after a step of USUAL_STEP_DEG ..."""
    stiffness_exponent: float
    stiffness_log_sd: float
    """... times (size / USUAL_STEP_DEG) ** -exponent, and lognormal."""
    tremor: float
    """Standard deviation of the trembling of a moving head, degrees: this * velocity**TREMOR_EXPONENT, on each axis."""
    pitch_gain: float
    pitch_exponent: float
    pitch_tail: float
    """A step of size a takes pitch by gain * a**exponent, times a normal number, times exp(tail * another)."""
    pitch_return_deg: float
    """A step takes back the share (size / this), at most all, of what pitch is off the user's posture."""
    pitch_user_deg: float
    """Standard deviation of the users' postures."""
    roll_gain: float
    roll_exponent: float
    roll_tail: float
    roll_return_deg: float
    roll_user_deg: float
    spot_deg: float
    spot_log_sd: float
    """Standard deviation of a hot spot's places around the front: median over videos, and its log-spread."""
    spot_speed: float
    """Standard deviation of a hot spot's velocity in deg/s, where places are spread by 25 degrees."""
    alert: float
    """Share of a video's users whom each cut turns to the new place."""
    cut_s: float
    """Mean time between the cuts of a video, at which the hot spot takes a new place."""


ROLL_MEAN_DEG = 1.2
"""Mean roll of Jin2022; Wu2017 has 2.3."""

PRESETS = MappingProxyType(
    {
        "jin": Preset(
            front_deg=87.7,
            jitter_deg=0.03,
            activity_user=0.494,
            activity_video=0.519,
            activity_now=1.14,
            activity_s=2.85,
            steps_per_s=1.2,
            steps_exponent=0.83,
            step_log_deg=1.43,
            step_log_sd=1.08,
            step_exponent=0.783,
            attention=0.923,
            attention_sd=0.761,
            aim_deg=11.6,
            persistence=0.564,
            follow=0.49,
            stiffness_yaw=2.69,
            stiffness_pitch=3.93,
            stiffness_roll=4.33,
            stiffness_exponent=-0.0726,
            stiffness_log_sd=0.242,
            tremor=0.107,
            pitch_gain=0.437,
            pitch_exponent=0.781,
            pitch_tail=0.491,
            pitch_return_deg=38.7,
            pitch_user_deg=4.43,
            roll_gain=0.737,
            roll_exponent=0.73,
            roll_tail=0.487,
            roll_return_deg=21.5,
            roll_user_deg=11.9,
            spot_deg=18.5,
            spot_log_sd=0.657,
            spot_speed=2.99,
            alert=0.475,
            cut_s=16.9,
        ),
        "wu": Preset(
            front_deg=-66.3,
            jitter_deg=0.03,
            activity_user=0.308,
            activity_video=0.265,
            activity_now=0.868,
            activity_s=4.66,
            steps_per_s=0.976,
            steps_exponent=1.34,
            step_log_deg=1.77,
            step_log_sd=1.17,
            step_exponent=0.592,
            attention=0.809,
            attention_sd=0.811,
            aim_deg=8.57,
            persistence=0.759,
            follow=0.408,
            stiffness_yaw=2.33,
            stiffness_pitch=3.66,
            stiffness_roll=3.3,
            stiffness_exponent=0.0741,
            stiffness_log_sd=0.281,
            tremor=0.101,
            pitch_gain=0.379,
            pitch_exponent=0.834,
            pitch_tail=0.494,
            pitch_return_deg=42.0,
            pitch_user_deg=3.58,
            roll_gain=0.712,
            roll_exponent=0.732,
            roll_tail=0.514,
            roll_return_deg=54.8,
            roll_user_deg=6.03,
            spot_deg=73.9,
            spot_log_sd=0.686,
            spot_speed=2.39,
            alert=0.279,
            cut_s=23.8,
        ),
    }
)


MAX_SAMPLES = 10_000_000


def synthetic_recordings(
    preset: str = "jin", seed: int = 0, videos: int = 20, users: int = 60, samples: int = 240
) -> Recordings:
    """Head motion of ``users`` users, all of whom watch all of ``videos`` videos, ``samples`` samples of 0.2 s each.

    The last quarter of the videos is the test split, the quarter before it the valid split; of the users it is the last
    sixth and the sixth before: with the defaults 10, 5 and 5 videos, 40, 10 and 10 users, and 500 published windows in
    the test split. Videos and users are numbered from 1. A pure function of its arguments: the same numbers wherever
    numpy's PCG64 and normal numbers are the same. The result is shared between calls, its arrays are read-only.

    Raises ``ValueError`` for an unknown preset, fewer than 4 videos, 6 users or 2 samples, or a negative seed.
    """
    if preset not in PRESETS:
        raise ValueError(unknown_name("preset", str(preset), PRESETS))
    for name, value, least in (("seed", seed, 0), ("videos", videos, 4), ("users", users, 6), ("samples", samples, 2)):
        if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < least:
            raise ValueError(f"{name} must be a whole number from {least} up, not {value!r}")
    if videos * users * samples > MAX_SAMPLES:
        raise ValueError(
            f"{videos} videos, {users} users and {samples} samples are more than {MAX_SAMPLES} in all; give fewer"
        )
    return _recordings(preset, int(seed), int(videos), int(users), int(samples))


@lru_cache(maxsize=8)
def _recordings(preset: str, seed: int, videos: int, users: int, samples: int) -> Recordings:
    rng = np.random.Generator(np.random.PCG64(seed))
    angles = _head_motion(PRESETS[preset], rng, videos, users, samples)
    recordings = videos * users
    arrays = {
        "offset": np.arange(recordings + 1, dtype=np.int64) * samples,
        "angles_deg": angles.reshape(-1, 3),
        "time_s": np.tile(np.arange(samples) / RATE_HZ, recordings),
        "video": np.repeat(np.arange(1, videos + 1, dtype=np.int32), users),
        "user": np.tile(np.arange(1, users + 1, dtype=np.int32), videos),
    }
    for array in arrays.values():
        array.flags.writeable = False
    video_parts, user_parts = _parts(videos, videos // 4), _parts(users, users // 6)
    splits = {name: Split(video_parts[name], user_parts[name]) for name in video_parts}
    name = f"synthetic(preset={preset},seed={seed},videos={videos},users={users},samples={samples})"
    return Recordings(name=name, splits=MappingProxyType(splits), **arrays)


def _parts(count: int, held_out: int) -> dict[str, tuple[int, ...]]:
    numbers = tuple(range(1, count + 1))
    train = count - 2 * held_out
    return {"train": numbers[:train], "valid": numbers[train : count - held_out], "test": numbers[count - held_out :]}


def _evenly_normal(rng: np.random.Generator, count: int) -> np.ndarray:
    """Normal numbers, one from each of ``count`` equally probable slices, in random order.

    With them a small set has the spread of videos and users of a large one.
    """
    shares = (rng.permutation(count) + rng.uniform(0.02, 0.98, count)) / count
    return np.array([NormalDist().inv_cdf(share) for share in shares])


def _hot_spots(p: Preset, rng: np.random.Generator, videos: int, steps: int) -> tuple[np.ndarray, ...]:
    """Each video's hot spot, degrees off the front: float64 (steps, videos, 2) pitch and yaw; motion and cuts.

    Motion is the yaw's change since the step before, 0 at cuts: float64 (steps, videos). Cuts: bool (steps, videos).
    """
    spread = p.spot_deg * np.exp(p.spot_log_sd * _evenly_normal(rng, videos))
    places = np.stack([np.minimum(spread / 4, 15.0), np.minimum(spread, 150.0)], axis=-1)
    places = places * rng.standard_normal((steps, videos, 2))
    kicks = rng.standard_normal((steps, videos, 2)) * (p.spot_speed * np.sqrt(spread / 25.0))[:, None] * (0.3, 1.0)
    cuts = rng.random((steps, videos)) < STEP_S / p.cut_s
    keep = np.exp(-STEP_S / SWERVE_S)
    spots, velocity, spot = np.empty((steps, videos, 2)), np.zeros((videos, 2)), places[0]
    for t in range(steps):
        velocity = keep * velocity + np.sqrt(1 - keep**2) * kicks[t]
        spot = np.where(cuts[t, :, None], places[t], spot + (velocity - spot / RECENTRE_S) * STEP_S)
        spots[t] = spot
    motion = np.diff(spots[..., 1], axis=0, prepend=spots[:1, :, 1])
    motion[cuts] = 0.0
    return spots, motion, cuts


def _head_motion(p: Preset, rng: np.random.Generator, videos: int, users: int, samples: int) -> np.ndarray:
    """float32 (videos * users, samples, 3): roll, pitch, yaw in degrees, of all recordings at once."""
    steps, count = samples * SUBSTEPS, videos * users
    video, user = np.repeat(np.arange(videos), users), np.tile(np.arange(users), videos)
    spots, motion, cuts = _hot_spots(p, rng, videos, steps)
    logit = np.log(p.attention / (1 - p.attention)) + p.attention_sd * _evenly_normal(rng, videos)
    attention = (1 / (1 + np.exp(-logit)))[video]
    usual = p.activity_video * _evenly_normal(rng, videos)[video] + p.activity_user * _evenly_normal(rng, users)[user]
    posture = np.stack(
        [ROLL_MEAN_DEG + p.roll_user_deg * _evenly_normal(rng, users), p.pitch_user_deg * _evenly_normal(rng, users)]
    )[:, user]

    # roll and pitch
    gain, exponent = np.array([[p.roll_gain], [p.pitch_gain]]), np.array([[p.roll_exponent], [p.pitch_exponent]])
    tail, back = np.array([[p.roll_tail], [p.pitch_tail]]), np.array([[p.roll_return_deg], [p.pitch_return_deg]])
    # roll, pitch, yaw
    axis_stiffness = np.array([[p.stiffness_roll], [p.stiffness_pitch], [p.stiffness_yaw]])

    goal = np.concatenate([posture, (spots[0, video, 1] + 2 * p.aim_deg * rng.standard_normal(count))[None]])
    head, velocity = goal.copy(), np.zeros((3, count))
    stiffness = np.repeat(axis_stiffness, count, axis=1)
    activity = rng.standard_normal(count)
    keep = np.exp(-STEP_S / p.activity_s)
    direction = np.where(rng.random(count) < 0.5, 1.0, -1.0)
    near, alert = np.zeros((2, count), dtype=bool)
    angles = np.empty((samples, 3, count))
    for t in range(steps):
        normal, uniform = rng.standard_normal((8, count)), rng.random((5, count))
        activity = keep * activity + np.sqrt(1 - keep**2) * normal[0]
        level = usual + p.activity_now * activity
        alert = np.where(cuts[t, video], uniform[4] < p.alert, alert)
        turns = alert & (uniform[3] < STEP_S / REACTION_S)
        steps_now = turns | (uniform[0] < STEP_S * p.steps_per_s * np.exp(p.steps_exponent * level))
        size = np.exp(p.step_log_deg + p.step_log_sd * normal[1] + p.step_exponent * level)

        # where to: towards the hot spot and not beyond, or the way of the step before, or back
        away = spots[t, video, 1] + p.aim_deg * normal[2] - goal[2]
        aimed = turns | (uniform[1] < attention * (1 - np.exp(-np.abs(away) / FAR_DEG)))
        size = np.minimum(np.where(turns, np.abs(away), size), LARGEST_STEP_DEG)
        alert &= ~turns
        way = np.where(aimed, np.sign(away), np.where(uniform[2] < p.persistence, direction, -direction))
        direction = np.where(steps_now, way, direction)
        near = np.where(steps_now, aimed | (np.abs(away) < NEAR_DEG), near)
        goal[2] += steps_now * way * np.where(aimed, np.minimum(size, np.abs(away)), size)
        goal[2] += near * p.follow * motion[t, video]
        rest = np.stack([posture[0], posture[1] + attention * spots[t, video, 0]])
        swing = gain * size**exponent * normal[3:5] * np.exp(tail * normal[5:7])
        goal[:2] += steps_now * ((rest - goal[:2]) * np.minimum(1.0, size / back) + swing)
        goal[1] = np.clip(goal[1], -HIGHEST_PITCH_DEG, HIGHEST_PITCH_DEG)

        # the head follows: x'' = w^2 (goal - x) - 2 w x', solved exactly over the step
        pace = (size / USUAL_STEP_DEG) ** -p.stiffness_exponent * np.exp(p.stiffness_log_sd * normal[7])
        stiffness = np.where(steps_now, np.clip(axis_stiffness * pace, *STIFFNESS_PER_S), stiffness)
        behind, decay = head - goal, np.exp(-stiffness * STEP_S)
        slope = velocity + stiffness * behind
        head = goal + (behind + slope * STEP_S) * decay
        velocity = (velocity - stiffness * slope * STEP_S) * decay
        if t % SUBSTEPS == SUBSTEPS - 1:
            shaking = p.jitter_deg + p.tremor * np.abs(velocity) ** TREMOR_EXPONENT
            angles[t // SUBSTEPS] = head + shaking * rng.standard_normal((3, count))

    angles[:, 2] += p.front_deg
    angles[:, ::2] = (angles[:, ::2] + 180.0) % 360.0 - 180.0
    angles[:, 1] = np.clip(angles[:, 1], -90.0, 90.0)
    return np.ascontiguousarray(angles.transpose(2, 0, 1), dtype=np.float32)
