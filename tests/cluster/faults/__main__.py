"""The command: starts itself once more within namespaces of its own, so that everything ends with it."""

import argparse
import asyncio
import os
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.cluster.faults.course import Plan, course
from tests.cluster.faults.faults import KINDS
from tests.cluster.faults.net import make_bridge

INSIDE = "MALDON_TEST_FAULTS_INSIDE"
OWN = (
    "setpriv",
    "--pdeathsig",
    "KILL",
    "unshare",
    "--net",
    "--pid",
    "--fork",
    "--kill-child",
    "--mount",
    "--mount-proc",
)


async def go(folder: Path, wanted: argparse.Namespace) -> bool:
    """Whether the cluster kept its promises."""
    begun = time.monotonic()
    async with course(folder, Plan(wanted.seed, wanted.kinds.split(","), wanted.code)) as run:
        try:
            await run.go_through(wanted.faults)
        except* AssertionError as errors:
            for error in errors.exceptions:
                run.ledger.complain(str(error))
        names = sum(bool(name[1]) for name in run.ledger.entries)
        kinds = ", ".join(f"{count} {kind}" for kind, count in sorted(run.kinds.items()))
        print(
            f"{sum(run.kinds.values())} faults ({kinds}), seed {wanted.seed}, {time.monotonic() - begun:.0f} s; "
            f"{run.ledger.answered} writes of {names} objects answered, {run.ledger.failed} failed, "
            f"{run.ledger.read} readings, {run.ledger.unread} failed; {len(run.ledger.wrong)} wrong"
        )
        return not run.ledger.wrong


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.cluster.faults", description=__doc__)
    parser.add_argument("--faults", type=int, default=200)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10_000))
    kinds = ",".join(kind.__name__ for kind in KINDS)
    parser.add_argument("--kinds", default=kinds, help=f"of {kinds}")
    parser.add_argument("--code", default="", help="an erasure code for some containers: isa_l_rs_vand/4+2")
    parser.add_argument("--keep", type=Path, help="where the nodes' homes stay for whoever wants to look")
    wanted = parser.parse_args()
    if os.environ.get(INSIDE) != "1":
        again = [f"--{name}={value}" for name, value in vars(wanted).items() if value]
        command = [*OWN, sys.executable, "-m", "tests.cluster.faults", *again]
        return subprocess.run(command, env=os.environ | {INSIDE: "1"}, check=False).returncode
    print(f"seed {wanted.seed}", flush=True)
    make_bridge()
    with tempfile.TemporaryDirectory(prefix="maldon-faults-") as folder:
        place = wanted.keep or Path(folder)
        place.mkdir(parents=True, exist_ok=True)
        return 0 if asyncio.run(go(place, wanted)) else 1


if __name__ == "__main__":
    sys.exit(main())
