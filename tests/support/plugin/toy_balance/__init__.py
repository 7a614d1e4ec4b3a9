"""A task from outside: which of a few servers gets the next request."""
