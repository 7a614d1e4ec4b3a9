"""Adaptive bitrate streaming (Pensieve lineage): environment, dynamics, workloads, viewer."""
