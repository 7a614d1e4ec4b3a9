"""The calendar of events: a binary heap ordered by (time, order of insertion)."""

from __future__ import annotations

from netenvs.compiled import kernel


@kernel
def comes_before(time_ms, inserted, other):
    """Order of the calendar: time, then insertion."""
    return time_ms < other.time_ms or (time_ms == other.time_ms and inserted < other.inserted)


@kernel
def copy_event(events, source, target):
    """Copy one entry of the heap over another one."""
    events[target].time_ms = events[source].time_ms
    events[target].inserted = events[source].inserted
    events[target].executor = events[source].executor


@kernel
def set_event(events, index, time_ms, inserted, executor):
    """Write one entry of the heap."""
    events[index].time_ms = time_ms
    events[index].inserted = inserted
    events[index].executor = executor


@kernel
def push_event(events, size, time_ms, inserted, executor):
    """Insert into a heap of ``size`` entries; there is room, as an executor has one event at most."""
    index = size
    while index > 0:
        parent = (index - 1) >> 1
        if not comes_before(time_ms, inserted, events[parent]):
            break
        copy_event(events, parent, index)
        index = parent
    set_event(events, index, time_ms, inserted, executor)


@kernel
def replace_first_event(events, size, time_ms, inserted, executor):
    """Remove the first of ``size`` (1 or more) entries and insert another one."""
    index = 0
    child = 1
    while child < size:
        if child + 1 < size and comes_before(events[child + 1].time_ms, events[child + 1].inserted, events[child]):
            child += 1
        if comes_before(time_ms, inserted, events[child]):
            break
        copy_event(events, child, index)
        index = child
        child = 2 * index + 1
    set_event(events, index, time_ms, inserted, executor)


@kernel
def pop_event(events, size):
    """Remove the first of ``size`` (1 or more) entries."""
    last = events[size - 1]
    if size > 1:
        replace_first_event(events, size - 1, last.time_ms, last.inserted, last.executor)


@kernel
def after(cluster, delay_ms, executor):
    """Schedule the one event of an executor."""
    state = cluster.state[0]
    push_event(cluster.events, state.num_events, state.now_ms + delay_ms, state.inserted, executor)
    state.inserted += 1
    state.num_events += 1
