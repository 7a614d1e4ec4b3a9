"""Tiled 360-degree video streaming: which tiles to fetch, and at which rate, before one knows where somebody looks."""
