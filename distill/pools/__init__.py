"""Pools: folders of episodes, how they are made, read and joined."""
