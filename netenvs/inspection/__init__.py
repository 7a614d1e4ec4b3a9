"""``python -m netenvs inspect PATH``: what a file of one's own is taken for, what is in it, and how to play it."""
