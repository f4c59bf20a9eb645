"""What the two programs for Python have in common: see ../README.md."""

import platform
import sys
from time import perf_counter_ns as now

REPS = 1000  # how often what takes little is repeated in a run


class Failed(Exception):
    """What fails on purpose."""


def want(got, wanted):
    if got != wanted:
        raise AssertionError(f"the result is {got}, want {wanted}")
    return got


async def measure(work, n, least):
    """Repeats the work until it has taken that many nanoseconds. A tenth of the time is for warming up."""
    warm = 0
    while warm < least / 10:
        warm += (await work(n))[0]
    taken = operations = 0
    while taken < least:
        t, count = await work(n)
        taken += t
        operations += count
    return taken / operations


async def main(runtime, works):
    print(f"runtime\t{runtime}, Python {platform.python_version()}", flush=True)
    least = float(sys.argv[1]) * 1e6
    for arg in sys.argv[2:]:
        name, _, n = arg.partition(":")
        print(f"{arg}\t{await measure(works[name], int(n), least):.2f}", flush=True)
