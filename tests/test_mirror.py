"""Every module has its test_<module>.py in the folder here that is called like its own, or stands in the table."""

from pathlib import Path

TESTS = Path(__file__).parent
ROOT = TESTS.parent
PACKAGES = ("netenvs", "agents", "distill", "benchmarks")
TESTED_IN = {
    "netenvs.abr.rows": "netenvs/abr/test_env.py",
    "netenvs.abr.simulator": "netenvs/abr/test_env.py netenvs/abr/test_golden.py",
    "netenvs.abr.task": "agents/test_registry.py netenvs/test_package.py",
    "netenvs.abr.video_files.json_manifest": "netenvs/abr/test_videos.py",
    "netenvs.abr.video_files.ladder": "netenvs/abr/video_files/test_sabre.py "
    "netenvs/abr/video_files/test_size_files.py",
    "netenvs.abr.video_files.segments": "netenvs/abr/video_files/test_dash.py netenvs/abr/video_files/test_hls.py",
    "netenvs.abr.workload": "netenvs/abr/test_traces.py netenvs/abr/test_videos.py",
    "netenvs.cjs.cluster": "netenvs/cjs/test_reference.py netenvs/cjs/test_env.py",
    "netenvs.cjs.engines": "netenvs/cjs/test_env.py",
    "netenvs.cjs.entities": "netenvs/cjs/test_reference.py",
    "netenvs.cjs.fast": "netenvs/cjs/test_kernel.py netenvs/cjs/test_rules.py",
    "netenvs.cjs.jobs": "netenvs/cjs/test_observations.py netenvs/cjs/test_workload.py",
    "netenvs.cjs.job_files.json_jobs": "netenvs/cjs/test_workload.py",
    "netenvs.cjs.job_files.spark.events": "netenvs/cjs/job_files/spark/test_jobs.py",
    "netenvs.cjs.job_files.spark.parts": "netenvs/cjs/job_files/spark/test_jobs.py",
    "netenvs.cjs.kernel": "netenvs/cjs/test_kernel.py netenvs/cjs/test_reference_properties.py",
    "netenvs.cjs.netllm_tpch": "netenvs/test_datasets_cjs.py",
    "netenvs.cjs.random_streams": "benchmarks/speed/yardsticks/test_cjs.py",
    "netenvs.cjs.task": "agents/test_registry.py netenvs/test_package.py",
    "netenvs.datasets.__main__": "netenvs/test_datasets.py",
    "netenvs.datasets.arrays": "netenvs/test_datasets.py netenvs/test_datasets_cjs.py",
    "netenvs.datasets.commands": "netenvs/test_datasets.py",
    "netenvs.datasets.decima_weights": "netenvs/test_datasets_cjs.py",
    "netenvs.datasets.entries": "netenvs/test_datasets.py netenvs/test_datasets_tensorbundle.py",
    "netenvs.datasets.errors": "netenvs/test_datasets_restricted_pickle.py netenvs/test_datasets_tensorbundle.py",
    "netenvs.datasets.genet_weights": "netenvs/test_datasets.py netenvs/test_datasets_tensorbundle.py",
    "netenvs.datasets.netllm_abr": "netenvs/test_datasets.py",
    "netenvs.datasets.netllm_vp": "netenvs/test_datasets_vp.py",
    "netenvs.datasets.restricted_pickle": "netenvs/test_datasets_restricted_pickle.py",
    "netenvs.datasets.sources": "netenvs/test_datasets.py",
    "netenvs.datasets.store": "netenvs/test_datasets.py",
    "netenvs.datasets.tensorbundle": "netenvs/test_datasets_tensorbundle.py",
    "netenvs.datasets.torch_state": "netenvs/test_datasets_cjs.py",
    "netenvs.abr.inspection": "netenvs/inspection/test_command.py",
    "netenvs.cjs.inspection": "netenvs/inspection/test_command.py",
    "netenvs.inspection.drawing": "netenvs/inspection/test_command.py",
    "netenvs.vp.inspection": "netenvs/inspection/test_command.py",
    "netenvs.__main__": "netenvs/inspection/test_command.py",
    "netenvs.loading": "agents/test_policy.py netenvs/test_tasks.py",
    "netenvs.random": "netenvs/cjs/test_generators.py netenvs/abr/test_kernel.py",
    "netenvs.readers.errors": "netenvs/readers/test_codecs.py netenvs/readers/test_sources.py",
    "netenvs.readers.fields": "netenvs/readers/test_table.py",
    "netenvs.readers.reading": "netenvs/readers/test_reader.py",
    "netenvs.vp.heat_maps": "netenvs/vp/test_previous_viewers.py",
    "netenvs.vp.kernel": "netenvs/vp/test_sphere.py",
    "netenvs.vp.options": "netenvs/vp/test_env.py",
    "netenvs.vp.playback": "netenvs/vp/test_env.py",
    "netenvs.vp.recording_files.bare": "netenvs/vp/recording_files/test_formats.py",
    "netenvs.vp.recording_files.clock": "netenvs/vp/recording_files/test_formats.py",
    "netenvs.vp.recording_files.columns": "netenvs/vp/recording_files/test_formats.py",
    "netenvs.vp.recording_files.recorded": "netenvs/vp/recording_files/test_naming.py",
    "netenvs.vp.recording_files.tables": "netenvs/vp/recording_files/test_formats.py",
    "netenvs.vp.task": "agents/test_registry.py netenvs/test_package.py",
    "netenvs.vp_streaming.options": "netenvs/vp_streaming/test_env.py",
    "netenvs.vp_streaming.qoe": "netenvs/vp_streaming/test_env.py",
    "netenvs.vp_streaming.simulator": "netenvs/vp_streaming/test_env.py",
    "netenvs.vp_streaming.task": "agents/test_registry.py netenvs/test_package.py",
    "netenvs.vp_streaming.tiles": "netenvs/vp_streaming/test_env.py netenvs/vp_streaming/test_kernel.py",
    "netenvs.wrappers.sb3": "netenvs/test_sb3.py",
    "agents.abr.bba": "agents/abr/test_policies.py agents/abr/test_scores.py",
    "agents.abr.bola": "agents/abr/test_policies.py",
    "agents.abr.bola_e": "agents/abr/test_deployed_rules.py",
    "agents.abr.curriculum": "agents/abr/test_genet.py",
    "agents.abr.dash_rules": "agents/abr/test_deployed_rules.py",
    "agents.abr.dynamic": "agents/abr/test_deployed_rules.py",
    "agents.abr.ewma": "agents/abr/test_deployed_rules.py",
    "agents.abr.genet_released": "agents/abr/test_policies.py",
    "agents.abr.hyb": "agents/abr/test_deployed_rules.py",
    "agents.abr.netllm_mpc": "agents/abr/test_mpc.py",
    "agents.abr.quetra": "agents/abr/test_deployed_rules.py",
    "agents.abr.random_and_constant": "agents/abr/test_policies.py agents/abr/test_scores.py",
    "agents.abr.robust_mpc": "agents/abr/test_mpc.py",
    "agents.abr.sequence": "agents/netllm/test_shipped.py agents/mamba4net/test_shipped.py",
    "agents.abr.task": "agents/test_registry.py",
    "agents.abr.throughput": "agents/abr/test_policies.py",
    "agents.cjs.decima.__main__": "agents/cjs/decima/test_main.py",
    "agents.cjs.decima.card": "agents/cjs/decima/test_main.py agents/training/test_card.py",
    "agents.cjs.decima.plan": "agents/cjs/decima/test_main.py agents/cjs/decima/test_training.py",
    "agents.cjs.decima_released": "agents/cjs/decima/test_released.py",
    "agents.cjs.sequence": "agents/netllm/test_shipped.py agents/mamba4net/test_shipped.py",
    "agents.cjs.task": "agents/test_registry.py",
    "agents.errors": "agents/test_policy.py",
    "agents.export.abr": "distill/commands/test_export.py",
    "agents.export.cjs": "distill/commands/test_export.py",
    "agents.export.deployed": "agents/sequence/test_backbone.py",
    "agents.export.onnx_policy": "distill/commands/test_export.py",
    "agents.export.vp": "distill/commands/test_export.py",
    "agents.hub": "agents/mamba4net/test_nemotron_h.py",
    "agents.mamba4net.layers": "agents/mamba4net/test_hybrid.py agents/mamba4net/test_streaming.py",
    "agents.netllm.gpu_check": "agents/netllm/test_memory.py",
    "agents.ragged": "agents/test_observations.py",
    "agents.sequence.net": "agents/sequence/nets/test_abr.py agents/sequence/nets/test_cjs.py",
    "agents.sequence.onnx_policy": "distill/commands/test_export.py",
    "agents.sequence.policy": "agents/sequence/test_model.py",
    "agents.sequence.shipped": "agents/netllm/test_shipped.py agents/mamba4net/test_shipped.py",
    "agents.sequence.testing": "agents/sequence/test_backbone.py agents/sequence/test_model.py",
    "agents.training.average": "distill/training/test_learner.py agents/vp/test_viewers.py",
    "agents.vp.damped_velocity": "agents/vp/test_lad.py",
    "agents.vp.experiment": "agents/vp/test_track.py agents/vp/test_viewers.py",
    "agents.vp.frames": "agents/vp/test_features.py",
    "agents.vp.irls": "agents/vp/test_viewers.py",
    "agents.vp.learned": "agents/vp/test_viewers.py",
    "agents.vp.linear_regression": "agents/vp/test_rules.py",
    "agents.vp.predictor": "agents/vp/test_rules.py",
    "agents.vp.saliency_peak": "agents/vp/test_neighbours.py",
    "agents.vp.scores": "agents/vp/test_lad.py agents/vp/test_viewers.py",
    "agents.vp.static": "agents/vp/test_rules.py",
    "agents.vp.task": "agents/test_registry.py",
    "agents.vp.track_model": "agents/vp/test_track.py",
    "agents.vp.training": "agents/vp/test_viewers.py",
    "agents.vp.velocity": "agents/vp/test_rules.py",
    "agents.vp.viewers_model": "agents/vp/test_viewers.py",
    "agents.vp_streaming.bounds": "agents/vp_streaming/test_policies.py",
    "agents.vp_streaming.crowd": "agents/vp_streaming/test_policies.py",
    "agents.vp_streaming.predicted_viewport": "agents/vp_streaming/test_policies.py agents/vp_streaming/test_sb3.py",
    "agents.vp_streaming.rates": "agents/vp_streaming/test_policies.py",
    "agents.vp_streaming.task": "agents/test_registry.py",
    "agents.vp_streaming.tiled": "agents/vp_streaming/test_policies.py",
    "distill.__main__": "distill/commands/test_command_line.py distill/commands/test_distill.py",
    "distill.card": "distill/commands/test_teach.py",
    "distill.collect": "distill/pools/test_collect.py",
    "distill.commands.collect": "distill/commands/test_command_line.py distill/pools/test_collect.py",
    "distill.commands.info": "distill/commands/test_command_line.py",
    "distill.commands.merge": "distill/commands/test_command_line.py",
    "distill.commands.task_option": "distill/commands/test_command_line.py",
    "distill.commands.training_command": "distill/commands/test_distill.py distill/commands/test_teach.py",
    "distill.commands.verify": "distill/commands/test_command_line.py",
    "distill.commands.wrong_arguments": "distill/commands/test_command_line.py",
    "distill.losses": "distill/recipes/test_vp.py",
    "distill.minari": "distill/pools/test_minari.py",
    "distill.pool": "distill/pools/test_pool.py",
    "distill.pools.column_units": "distill/pools/test_collect.py",
    "distill.pools.merge": "distill/pools/test_pool.py",
    "distill.pools.recorder": "distill/pools/test_collect.py",
    "distill.pools.shards": "distill/pools/test_collect.py distill/pools/test_pool.py",
    "distill.recipes.abr.training": "distill/commands/test_teach.py distill/recipes/test_abr.py",
    "distill.recipes.cjs.training": "distill/recipes/test_cjs.py",
    "distill.recipes.vp.losses": "distill/recipes/test_vp.py",
    "distill.recipes.vp.training": "distill/recipes/test_vp.py distill/training/test_teacher_cache.py",
    "distill.records": "distill/pools/test_collect.py",
    "distill.reuse": "distill/reuse/test_weight_reuse.py",
    "distill.training.behaviour_cloning": "distill/training/test_pool_sequences.py",
    "distill.training.labelled_sequences": "distill/training/test_learner.py distill/training/test_teacher_cache.py",
    "distill.training.phase": "distill/training/test_learner.py distill/training/test_teacher_source.py",
    "distill.training.student": "distill/commands/test_distill.py",
    "distill.weight_reuse": "distill/reuse/test_weight_reuse.py",
    "benchmarks.ablation.__main__": "benchmarks/ablation/test_command.py",
    "benchmarks.ablation.cells": "benchmarks/ablation/test_command.py",
    "benchmarks.ablation.figures": "benchmarks/ablation/test_command.py",
    "benchmarks.ablation.report": "benchmarks/ablation/test_command.py",
    "benchmarks.ablation.sections": "benchmarks/ablation/test_command.py",
    "benchmarks.command_line": "benchmarks/compare/test_command.py",
    "benchmarks.compare.__main__": "benchmarks/compare/test_command.py",
    "benchmarks.compare.columns": "benchmarks/compare/test_command.py",
    "benchmarks.compare.evaluate": "benchmarks/compare/test_command.py",
    "benchmarks.compare.listing": "benchmarks/compare/test_command.py",
    "benchmarks.compare.options": "benchmarks/tasks/test_cjs.py",
    "benchmarks.compare.plots": "benchmarks/tasks/test_cjs.py",
    "benchmarks.compare.report": "benchmarks/compare/test_command.py",
    "benchmarks.compare.table": "benchmarks/compare/test_command.py",
    "benchmarks.drawing": "benchmarks/compare/test_command.py",
    "benchmarks.files": "benchmarks/test_files_and_formats.py",
    "benchmarks.formats": "benchmarks/test_files_and_formats.py",
    "benchmarks.machine": "benchmarks/speed/test_command.py",
    "benchmarks.pages": "benchmarks/compare/test_command.py benchmarks/suite/test_command.py",
    "benchmarks.speed.__main__": "benchmarks/speed/test_command.py",
    "benchmarks.speed.abr": "benchmarks/speed/test_command.py",
    "benchmarks.speed.cjs": "benchmarks/speed/test_command.py",
    "benchmarks.speed.default": "benchmarks/speed/test_command.py",
    "benchmarks.speed.decisions": "benchmarks/speed/test_command.py",
    "benchmarks.speed.measurement": "benchmarks/speed/test_command.py",
    "benchmarks.speed.policy.backbones": "benchmarks/speed/policy/test_command.py",
    "benchmarks.speed.policy.play": "benchmarks/speed/policy/test_command.py",
    "benchmarks.speed.record": "benchmarks/speed/policy/test_command.py",
    "benchmarks.speed.registry": "benchmarks/speed/test_command.py",
    "benchmarks.speed.vp": "benchmarks/speed/test_command.py",
    "benchmarks.speed.vp_streaming": "benchmarks/speed/test_command.py",
    "benchmarks.speed.yardsticks.link": "benchmarks/speed/yardsticks/test_abr.py",
    "benchmarks.suite.record": "benchmarks/suite/test_abr.py benchmarks/suite/test_play.py",
    "benchmarks.suite.plots": "benchmarks/suite/test_command.py",
    "benchmarks.suite.report": "benchmarks/suite/test_command.py",
    "benchmarks.suite.results": "benchmarks/suite/test_command.py",
    "benchmarks.suite.table": "benchmarks/suite/test_command.py",
    "benchmarks.tasks.abr": "benchmarks/compare/test_command.py",
    "benchmarks.tasks.registry": "benchmarks/compare/test_command.py",
    "benchmarks.tasks.setup": "benchmarks/compare/test_command.py",
}
"""Module, or folder of modules -> the files, relative to this folder, that test it."""


def modules() -> list[str]:
    files = [file for name in PACKAGES for file in sorted((ROOT / name).rglob("*.py")) if file.name != "__init__.py"]
    return [".".join(file.relative_to(ROOT).with_suffix("").parts) for file in files]


def own_test(module: str) -> Path:
    folder, _, name = module.replace(".", "/").rpartition("/")
    return TESTS / folder / f"test_{name}.py"


def in_table(module: str) -> bool:
    parts = module.split(".")
    return any(".".join(parts[:length]) in TESTED_IN for length in range(2, len(parts) + 1))


def test_every_module_is_tested_in_a_file_of_its_name_or_in_one_of_the_table():
    missing = [module for module in modules() if not own_test(module).exists() and not in_table(module)]
    assert not missing, (
        f"no tests are known of {', '.join(missing)}: write {own_test(missing[0]).relative_to(ROOT)} (and so on), or "
        f"say in TESTED_IN of {Path(__file__).relative_to(ROOT)} which files test them"
    )


def test_the_table_names_what_there_is():
    files = {module: ROOT / module.replace(".", "/") for module in TESTED_IN}
    gone = [module for module, file in files.items() if not (file.is_dir() or file.with_suffix(".py").is_file())]
    assert not gone, f"TESTED_IN has modules that are gone: {', '.join(gone)}; take them out, or put their new names"
    tests = {file for place in TESTED_IN.values() for file in place.split()}
    gone = sorted(file for file in tests if not (TESTS / file).is_file())
    assert not gone, f"TESTED_IN names tests that are gone: {', '.join(gone)}; put their new places"


def test_the_table_is_no_longer_than_it_must_be():
    more = [module for module in modules() if module in TESTED_IN and own_test(module).exists()]
    assert not more, f"TESTED_IN need not say where {', '.join(more)} is tested: there is a file of that name"
