"""Spark cluster job scheduling (Decima lineage): environment, dynamics, workloads, viewer."""
