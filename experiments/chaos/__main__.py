"""Disturb a small sweep at random, and see that it ends as if nothing had happened.

    python -m experiments.chaos --kills 100 --seed 0

Exit code 0: every round ended with the results of the undisturbed run; 1: one did not, and how is told. The choice of
disturbances and moments follows from the seed, what they hit also from the machine. As root on Linux the storage lies
on a file system of its own, which is filled; otherwise that disturbance is skipped, and told.
"""

import argparse
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path

from .campaign import Campaign, Tally


def main() -> int:
    """Return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m experiments.chaos", description=__doc__)
    parser.add_argument("--kills", type=int, default=14, help="number of disturbances [default: 14]")
    parser.add_argument("--seed", type=int, default=0, help="decides what happens when [default: 0]")
    parser.add_argument("--work", type=Path, help="folder that keeps everything [default: one that is removed]")
    asked = parser.parse_args()
    if asked.kills < 1:
        parser.error(f"--kills is {asked.kills}; it must be at least 1")
    work = asked.work or Path(tempfile.mkdtemp(prefix="raycollapse-chaos-"))
    start = time.monotonic()
    for name in (signal.SIGINT, signal.SIGTERM):  # end what was started; in the background a shell has SIGINT ignored
        signal.signal(name, lambda number, _: sys.exit(128 + number))

    def say(line: str) -> None:
        print(f"[{time.monotonic() - start:6.1f} s] {line}", flush=True)

    campaign = Campaign(work.absolute(), asked.seed, say)
    try:
        tally = campaign.run(asked.kills)
    finally:
        campaign.close()
    print(summary(tally, time.monotonic() - start))
    if tally.differences:
        print(*tally.differences, f"Everything lies in {work}.", sep="\n")
        return 1
    if tally.tracebacks:
        print("Runs that printed a traceback, which nobody should see:", *tally.tracebacks, sep="\n")
    elif asked.work is None:
        shutil.rmtree(work)
    return 0


def summary(tally: Tally, seconds: float) -> str:
    """Return what happened in one line."""
    kinds = ", ".join(f"{number} {name}" for name, number in sorted(tally.struck.items()))
    result = f"{len(tally.differences)} differences" if tally.differences else "equal to the undisturbed run"
    return (
        f"{tally.struck.total()} disturbances ({kinds}), {tally.rounds} rounds, {tally.resumes} resumes, "
        f"{seconds / 60:.1f} minutes: {result}"
    )


sys.exit(main())
