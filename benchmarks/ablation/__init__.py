"""``python -m benchmarks.ablation``: small distillations, each with one thing changed."""
