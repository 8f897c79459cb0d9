"""`python -m tests.simulation SEED`: run one world and print all that happened in it."""

from __future__ import annotations

import sys

from tests.simulation.world import simulate


def main() -> int:
    """The trace, and 1 if something broke."""
    outcome = simulate(int(sys.argv[1]))
    print("\n".join(outcome.trace))
    print(f"seed {outcome.seed}: {outcome.jobs} jobs, {outcome.generations} generations, {dict(outcome.ends)}")
    print(f"faults: {', '.join(f'{count} x {fault}' for fault, count in sorted(outcome.faults.items()))}")
    if outcome.broken is not None:
        print(f"BROKEN: {outcome.broken}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
