"""The catalogue: one :class:`Dataset` entry per name.

A new data set is one entry here, one converter (upstream files in, installed files out) in a module of its own,
here or with the task, and one manifest ``<name>.sha256.json`` beside this file.

A manifest maps keys to sha256 digests. Most data sets are checked **per upstream file**: the keys are the
paths inside the upstream repository, and exactly these files are read. Weights are checked **per array**: the
keys are the names of variables (``<model>__<checkpoint>|<variable>`` for ``genet-weights``) and the digest
covers dtype, shape and bytes of the array (see :func:`netenvs.datasets.arrays.array_digest`), so that the
released checkpoints and an npz archive of the same variables answer to one manifest. Such an entry lists
the upstream files that it reads in ``members``, and its converter does the checking.
"""

import difflib
import functools
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

from netenvs.datasets import decima_weights, genet_weights, netllm_abr, netllm_vp
from netenvs.datasets.errors import UnknownDatasetError
from netenvs.loading import named

_NETLLM_COMMIT = "105bcf070f2bec808f7b14f8f5a953de6e4e6e54"
_NETLLM_TREE = f"https://github.com/duowuyms/NetLLM/tree/{_NETLLM_COMMIT}"
_NETLLM_TARBALL = f"https://codeload.github.com/duowuyms/NetLLM/tar.gz/{_NETLLM_COMMIT}"
_NETLLM_PAPER = (
    "Wu et al., 'NetLLM: Adapting Large Language Models for Networking', ACM SIGCOMM 2024, doi:10.1145/3651890.3672268"
)
_NORWAY_PAPER = (
    "Riiser et al., 'Commute Path Bandwidth Traces from 3G Networks: Analysis and Applications', ACM MMSys 2013"
)
_PUFFER_COMMIT = "d28c4fd48d0e358db024cc0217b111c070815fa7"
_SABRE_COMMIT = "09b03bb0f4f90660a2504a6b2fb48d2f06333706"
_SABRE_PAPER = (
    "Spiteri et al., 'From Theory to Practice: Improving Bitrate Adaptation in the DASH Reference Player', ACM MMSys "
    "2018, doi:10.1145/3204949.3204953"
)
_LUMOS_COMMIT = "9f48da1d050438c75483ed880afcba5c248c73ce"
_COMYCO_COMMIT = "8cd3197c8e95c4dabfdb9caddd55547c01624b0b"
_PENSIEVE_PAPER = (
    "Mao et al., 'Neural Adaptive Video Streaming with Pensieve', ACM SIGCOMM 2017, doi:10.1145/3098822.3098843"
)
_PENSIEVE_PPO_COMMIT = "2bedc6eb5e3aa2c94916f4d371569822e7552182"
_DECIMA_PAPER = (
    "Mao et al., 'Learning Scheduling Algorithms for Data Processing Clusters', ACM SIGCOMM 2019, "
    "doi:10.1145/3341302.3342080"
)

#: Upstream path -> bytes, as read from the source; installed file name -> bytes, as written to the store.
Files = Mapping[str, bytes]
#: (upstream files, manifest) -> installed files. Raises DatasetError when the content is not as it should be.
Converter = Callable[[Files, Mapping[str, str]], Files]


def _from_its_task(target: str) -> Converter:
    """The converter ``module:name``, which stands with its task as it needs what that knows; loaded when it is used."""

    def convert(files: Files, manifest: Mapping[str, str]) -> Files:
        installed: Files = named(target)(files, manifest)
        return installed

    return convert


@functools.cache
def _committed_manifest(name: str) -> Mapping[str, str]:
    read: dict[str, str] = json.loads((files("netenvs.datasets") / f"{name}.sha256.json").read_text("utf-8"))
    return read


@dataclass(frozen=True)
class Dataset:
    """What the project knows about one public data set.

    ``members`` empty means that the manifest is per file and its keys are the files to read; otherwise the
    manifest is per array and ``members`` are the upstream files to read, or ``packed`` in place of them all.
    """

    name: str
    gives: str  #: what a user gets, one line
    licence: str
    citation: str
    source: str  #: page of the data, for people
    commit: str  #: the upstream commit that every file is pinned to
    url: str  #: tarball of that commit; not byte-stable, so its files are checked one by one
    archives: tuple[str, ...]  #: names looked for in a folder given with --from, first hit wins
    convert: Converter
    installed_mb: float  #: approximate size in the store, MB
    members: tuple[str, ...] = ()  #: upstream files, where the manifest is per array
    packed: str = ""  #: name of one npz that may stand for all members
    shared_folders: tuple[str, ...] = ()  #: upstream folders with other files, too, beside those that are read
    manifest: Mapping[str, str] | None = None  #: None: read <name>.sha256.json of this package
    format: int = 1  #: layout of the installed files; a new number makes old installs be made again
    max_file_bytes: int = 16 * 2**20  #: a larger upstream file is refused
    timeout_s: float = 30.0  #: silence on the line after which a download is given up

    def digests(self) -> Mapping[str, str]:
        """Return the manifest, key -> sha256 in hexadecimal."""
        if self.manifest is not None:
            return self.manifest
        return _committed_manifest(self.name)

    def upstream_files(self) -> frozenset[str]:
        """Return the paths, inside the upstream repository, of the files that are read."""
        return frozenset(self.members or self.digests())


def _sabre(**own: Any) -> Dataset:
    """One of the data sets that lie in the folder of examples of Sabre."""
    return Dataset(
        licence="BSD-2-Clause",
        source=f"https://github.com/UMass-LIDS/sabre/tree/{_SABRE_COMMIT}/example/mmsys18",
        commit=_SABRE_COMMIT,
        url=f"https://codeload.github.com/UMass-LIDS/sabre/tar.gz/{_SABRE_COMMIT}",
        archives=("traces-sabre.tar.xz", "traces-sabre.tar.gz"),
        **own,
    )


CATALOGUE: dict[str, Dataset] = {
    entry.name: entry
    for entry in (
        Dataset(
            name="netllm-abr",
            gives="bandwidth traces fcc-train (235), fcc-valid (150), fcc-test (100), their de-duplicated "
            "splits, norway-train (39); chunk sizes of video1 and video2",
            licence="MIT",
            citation=f"{_NETLLM_PAPER}; measurements: FCC, 'Measuring Broadband America'; {_NORWAY_PAPER}",
            source=f"{_NETLLM_TREE}/adaptive_bitrate_streaming/data",
            commit=_NETLLM_COMMIT,
            url=_NETLLM_TARBALL,
            archives=("netllm-abr.tar.xz", "netllm-abr.tar.gz"),
            convert=netllm_abr.convert,
            installed_mb=0.6,
        ),
        Dataset(
            name="genet-weights",
            gives="released actor networks of GENET (genet) and its UDR baselines (udr_1, udr_2, udr_3, "
            "udr_real); actor variables only",
            licence="MIT",
            citation="Xia et al., 'Genet: Automatic Curriculum Generation for Learning Adaptation in "
            f"Networking', ACM SIGCOMM 2022, doi:10.1145/3544216.3544243; released with {_NETLLM_PAPER}",
            source=f"{_NETLLM_TREE}/adaptive_bitrate_streaming/data/all_models",
            commit=_NETLLM_COMMIT,
            url=_NETLLM_TARBALL,
            archives=("genet_weights.npz", "golden/abr/genet_weights.npz"),
            convert=genet_weights.convert,
            installed_mb=2.5,
            members=genet_weights.MEMBERS,
            packed="genet_weights.npz",
        ),
        Dataset(
            name="netllm-tpch",
            gives="workload tpch: stage graphs and task durations of 22 TPC-H queries at 7 input sizes",
            licence="MIT (as redistributed by NetLLM; decima-sim, which released the measurements, states none)",
            citation=f"{_DECIMA_PAPER}; released with {_NETLLM_PAPER}",
            source=f"{_NETLLM_TREE}/cluster_job_scheduling/data/tpch",
            commit=_NETLLM_COMMIT,
            url=_NETLLM_TARBALL,
            archives=("netllm-tpch.tar.xz", "netllm-tpch.tar.gz"),
            convert=_from_its_task("netenvs.cjs.netllm_tpch:convert"),
            installed_mb=2.3,
        ),
        Dataset(
            name="decima-weights",
            gives="released Decima policy network, trained for 50 executors",
            licence="MIT",
            citation=f"{_DECIMA_PAPER}; this model: Gertsman, 'spark-sched-sim', 2023, "
            f"https://github.com/ArchieGertsman/spark-sched-sim; released with {_NETLLM_PAPER}",
            source=f"{_NETLLM_TREE}/cluster_job_scheduling/models/decima",
            commit=_NETLLM_COMMIT,
            url=_NETLLM_TARBALL,
            archives=("decima_weights.npz", "golden/cjs/decima_weights.npz"),
            convert=decima_weights.convert,
            installed_mb=0.1,
            members=decima_weights.MEMBERS,
            packed=decima_weights.PACKED,
        ),
        Dataset(
            name="jin2022",
            gives="head motion of 84 users in 27 videos of up to 60 s at 5 Hz, with the published splits",
            licence="MIT (as redistributed by NetLLM; no licence of the measurements was found)",
            citation="Jin et al., 'Where Are You Looking? A Large-Scale Dataset of Head and Gaze Behavior for "
            f"360-Degree Videos and a Pilot Study', ACM Multimedia 2022; released with {_NETLLM_PAPER}",
            source=f"{_NETLLM_TREE}/viewport_prediction/data/viewports/Jin2022",
            commit=_NETLLM_COMMIT,
            url=_NETLLM_TARBALL,
            archives=("netllm-vp-jin2022.tar.xz", "netllm-vp-jin2022.tar.gz"),
            convert=netllm_vp.convert_jin2022,
            installed_mb=10.8,
        ),
        Dataset(
            name="wu2017",
            gives="head motion of 48 users in 18 videos of 3 to 11 min at 5 Hz, with the published splits (videos 1-9)",
            licence="MIT (as redistributed by NetLLM; no licence of the measurements was found)",
            citation="Wu et al., 'A Dataset for Exploring User Behaviors in VR Spherical Video Streaming', ACM MMSys "
            f"2017, doi:10.1145/3083187.3083210; released with {_NETLLM_PAPER}",
            source=f"{_NETLLM_TREE}/viewport_prediction/data/viewports/Wu2017",
            commit=_NETLLM_COMMIT,
            url=_NETLLM_TARBALL,
            archives=("netllm-vp-wu2017.tar.xz", "netllm-vp-wu2017.tar.gz"),
            convert=netllm_vp.convert_wu2017,
            installed_mb=20.2,
        ),
        Dataset(
            name="puffer22",
            gives="bandwidth traces of Puffer's viewers: puffer22-train (348), puffer22-valid (87), puffer22-test "
            "(500)",
            licence="MIT (the selection; Puffer's data are public)",
            citation="Kan et al., 'Improving Generalization for Neural Adaptive Video Streaming via Meta Reinforcement "
            "Learning', ACM Multimedia 2022, doi:10.1145/3503161.3548331; measurements: Yan et al., 'Learning in Situ: "
            "A Randomized Experiment in Video Streaming', USENIX NSDI 2020, https://puffer.stanford.edu",
            source=f"https://github.com/confiwent/Real-world-bandwidth-traces/tree/{_PUFFER_COMMIT}/puffer_220218",
            commit=_PUFFER_COMMIT,
            url=f"https://codeload.github.com/confiwent/Real-world-bandwidth-traces/tar.gz/{_PUFFER_COMMIT}",
            archives=("traces-puffer22.tar.xz", "traces-puffer22.tar.gz"),
            convert=_from_its_task("netenvs.abr.public_traces:convert_puffer22"),
            installed_mb=9.0,
        ),
        _sabre(
            name="sabre-3g",
            gives="47 bandwidth traces of Norway's 3G whose logs are not in netllm-abr; video bbb, ten levels, chunks "
            "of 3 s",
            citation=f"{_SABRE_PAPER}; measurements: {_NORWAY_PAPER}",
            convert=_from_its_task("netenvs.abr.public_traces:convert_sabre_3g"),
            installed_mb=0.4,
            shared_folders=("example/mmsys18",),
        ),
        _sabre(
            name="fcc-hd",
            gives="bandwidth traces of fixed lines, means of 11 to 35 Mbit/s: fcc-hd-train, fcc-hd-valid (250 each), "
            "fcc-hd-test (500)",
            citation=f"{_SABRE_PAPER}; measurements: FCC, 'Measuring Broadband America', 2016",
            convert=_from_its_task("netenvs.abr.public_traces:convert_fcc_hd"),
            installed_mb=0.1,
        ),
        _sabre(
            name="fcc-sd",
            gives="bandwidth traces of fixed lines, means of 4 to 9 Mbit/s: fcc-sd-train, fcc-sd-valid (125 each), "
            "fcc-sd-test (250)",
            citation=f"{_SABRE_PAPER}; measurements: FCC, 'Measuring Broadband America', 2016",
            convert=_from_its_task("netenvs.abr.public_traces:convert_fcc_sd"),
            installed_mb=0.1,
        ),
        Dataset(
            name="lumos-wifi",
            gives="throughput of video chunks over Wi-Fi and 4G: lumos-wifi-train, lumos-wifi-valid (148 each), "
            "lumos-wifi-test (294)",
            licence="MIT",
            citation="Lv et al., 'Lumos: towards Better Video Streaming QoE through Accurate Throughput Prediction', "
            "IEEE INFOCOM 2022, doi:10.1109/INFOCOM48880.2022.9796948",
            source=f"https://github.com/GreenLv/Lumos/tree/{_LUMOS_COMMIT}",
            commit=_LUMOS_COMMIT,
            url=f"https://codeload.github.com/GreenLv/Lumos/tar.gz/{_LUMOS_COMMIT}",
            archives=("traces-lumos-wifi.tar.xz", "traces-lumos-wifi.tar.gz"),
            convert=_from_its_task("netenvs.abr.public_traces:convert_lumos_wifi"),
            installed_mb=0.4,
        ),
        Dataset(
            name="pensieve",
            gives="bandwidth traces of Pensieve and its followers: pensieve-train (127, FCC and Norway's 3G), "
            "pensieve-test (142, Norway's 3G)",
            licence="BSD-2-Clause",
            citation=f"{_PENSIEVE_PAPER}; these files: Huang et al., 'Comyco: Quality-Aware Adaptive Video Streaming "
            "via Imitation Learning', ACM Multimedia 2019, doi:10.1145/3343031.3351014; measurements: "
            f"{_NORWAY_PAPER}; FCC, 'Measuring Broadband America'",
            source=f"https://github.com/thu-media/Comyco/tree/{_COMYCO_COMMIT}/src",
            commit=_COMYCO_COMMIT,
            url=f"https://codeload.github.com/thu-media/Comyco/tar.gz/{_COMYCO_COMMIT}",
            archives=("traces-pensieve.tar.xz", "traces-pensieve.tar.gz"),
            convert=_from_its_task("netenvs.abr.public_traces:convert_pensieve"),
            installed_mb=1.1,
        ),
        Dataset(
            name="pensieve-logs",
            gives="action logs of eleven published policies on pensieve-test: Pensieve by A3C and PPO, Comyco, MPC, "
            "BOLA, BBA, QUETRA, and others",
            licence="BSD-2-Clause",
            citation=f"Pensieve-PPO, https://github.com/yindaheng98/Pensieve-PPO; {_PENSIEVE_PAPER}",
            source=f"https://github.com/yindaheng98/Pensieve-PPO/tree/{_PENSIEVE_PPO_COMMIT}/src/baselines",
            commit=_PENSIEVE_PPO_COMMIT,
            url=f"https://codeload.github.com/yindaheng98/Pensieve-PPO/tar.gz/{_PENSIEVE_PPO_COMMIT}",
            archives=("pensieve-ppo-baselines.tar.xz", "golden/abr/peers/pensieve-ppo-baselines.tar.xz"),
            convert=_from_its_task("netenvs.abr.published_logs:convert"),
            installed_mb=1.8,
            shared_folders=("src/baselines",),
        ),
    )
}


def find(name: str) -> Dataset:
    """The data set of this name. Raises UnknownDatasetError, with the nearest name, where there is none."""
    try:
        return CATALOGUE[name]
    except KeyError:
        close = difflib.get_close_matches(name, CATALOGUE, n=1)
        hint = f"did you mean '{close[0]}'? " if close else ""
        raise UnknownDatasetError(f"unknown data set '{name}'; {hint}known: {', '.join(CATALOGUE)}") from None
