r"""Tempest's tests against a simulated cloud, run by stestr in the stock clients' virtual environment.

As a command it runs the tests whose ids match a regular expression, prints every failure, why others were skipped, and
a summary, and with --grow adds those that passed to the list of ids that must:

    python -m tests.compat.tempest 'tempest\.api\.network' [--grow] [--workers 2] [--keep DIR]

`--home DIR` uses the cloud that runs there instead of starting one; it needs the SETTINGS that tempest.conf tells of.
"""

import argparse
import contextlib
import csv
import os
import re
import string
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.clouds import CLIENTS, RunningCloud, running_cloud

HERE = Path(__file__).parent
PASSING = HERE / "tempest-passing.txt"
SECONDS_A_TEST = 180
SETTINGS = """
[identity]
lockout_attempts = 4
lockout_s = 5
password_unique_last = 2

[object]
policies = ["0:gold", "1:silver"]
"""
SYNC = """
[object-container_sync]
realms = "{realms}"
interval_s = 2.0
"""
REALMS = """
[realm1]
key = between clusters
cluster_name1 = http://127.0.0.1:{port}/object-store/v1/
"""
STESTR = """[DEFAULT]
test_path = {tempest}/test_discover
top_dir = {site}
group_regex = ([^\\.]*\\.)*
"""


@dataclass
class Tempest:
    """A folder with what Tempest needs to know of one cloud, and the results of its runs."""

    cloud: RunningCloud
    folder: Path
    workers: int = 2

    def prepare(self) -> None:
        """Write tempest.conf, making what it must name and the cloud does not have yet."""
        admin = self.cloud.clouds["maldon-admin"]["auth"]
        images = {i["Name"]: i["ID"] for i in self._admin("image", "list", "-f", "json")}
        if "tempest-alt" not in images:
            (self.folder / "disk.raw").write_bytes(os.urandom(64) + bytes(1 << 20))
            made = self._admin(
                "image", "create", "tempest-alt", "--public", "--disk-format", "raw",
                "--file", str(self.folder / "disk.raw"), "-f", "json",
            )  # fmt: skip
            images["tempest-alt"] = made["id"]
        conf = string.Template((HERE / "tempest.conf").read_text()).substitute(
            folder=self.folder,
            password=admin["password"],
            auth_url=admin["auth_url"],
            image=images["maldon-guest"],
            image_alt=images["tempest-alt"],
            public_network=self._admin("network", "show", "public", "-f", "json")["id"],
        )
        (self.folder / "tempest.conf").write_text(conf)
        tempest = next(CLIENTS.parent.glob("lib/python3*/site-packages/tempest"))
        (self.folder / ".stestr.conf").write_text(STESTR.format(tempest=tempest, site=tempest.parent))
        if not (self.folder / ".stestr").exists():
            self._stestr("init")

    def run(self, regexes: Iterable[str]) -> dict[str, str]:
        """Run the tests whose ids match; each id with "success", "skip" or "fail"."""
        wanted = self.folder / "wanted.txt"
        wanted.write_text("".join(f"{regex}\n" for regex in regexes))
        self._stestr("run", "--include-list", str(wanted), "--concurrency", str(self.workers))
        stream = self._stestr("last", "--subunit").stdout
        table = subprocess.run([CLIENTS / "subunit2csv"], input=stream, capture_output=True, check=False).stdout
        return {row["test"].partition("[")[0]: row["status"] for row in csv.DictReader(table.decode().splitlines())}

    def last_words(self) -> str:
        """The failures of the last run, each with its traceback."""
        return self._stestr("last", "--no-subunit-trace").stdout.decode(errors="replace")

    def why_skipped(self) -> Counter[str]:
        """The reasons for which tests of the last run did not run."""
        lines = self._stestr("last", "--force-subunit-trace").stdout.decode(errors="replace").splitlines()
        return Counter(line.partition("SKIPPED: ")[2] for line in lines if "SKIPPED: " in line)

    def _admin(self, *words: str):
        return self.cloud.openstack(*words, cloud="maldon-admin")

    def _stestr(self, *words: str) -> subprocess.CompletedProcess[bytes]:
        environ = {
            **self.cloud.environ(),
            "TEMPEST_CONFIG": "tempest.conf",
            "TEMPEST_CONFIG_DIR": str(self.folder),
            "OS_TEST_TIMEOUT": str(SECONDS_A_TEST),
            "PATH": f"{CLIENTS}:{os.environ['PATH']}",
        }
        return subprocess.run(
            [CLIENTS / "stestr", *words], cwd=self.folder, env=environ, capture_output=True, check=False
        )


def must_pass() -> list[str]:
    """The ids of the tests that pass, for good: the list only grows."""
    return PASSING.read_text().split()


def regex_of(test: str) -> str:
    """What matches this id alone, with or without the attributes Tempest appends to it."""
    return rf"^{re.escape(test)}(\[|$)"


def _let_it_sync(cloud: RunningCloud) -> None:
    """A realm of which the cloud itself is the one cluster."""
    realms = cloud.home / "container-sync-realms.conf"
    realms.write_text(REALMS.format(port=cloud.port))
    with (cloud.home / "maldon.toml").open("a") as settings:
        settings.write(SYNC.format(realms=realms))


@contextlib.contextmanager
def tempest(*, home: Path | None = None, folder: Path | None = None, workers: int = 2) -> Iterator[Tempest]:
    """Tempest ready to run against a cloud of its own, or the simulated one that runs in `home`."""
    with contextlib.ExitStack() as stack:
        if home is None:
            cloud = stack.enter_context(running_cloud(simulate=True, hosts=2, settings=SETTINGS, prepare=_let_it_sync))
        else:
            cloud = RunningCloud(home, 0, simulate=True)
        folder = folder or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="maldon-tempest-")))
        folder.mkdir(parents=True, exist_ok=True)
        ready = Tempest(cloud, folder.absolute(), workers)
        ready.prepare()
        yield ready


def main() -> None:
    options = argparse.ArgumentParser(description="Run Tempest tests against a simulated cloud.")
    options.add_argument("regex", nargs="+", help="which tests")
    options.add_argument("--grow", action="store_true", help="add what passed to the list")
    options.add_argument("--workers", type=int, default=2, help="processes of Tempest (2)")
    options.add_argument("--home", type=Path, help="use the simulated cloud that runs here")
    options.add_argument("--keep", type=Path, help="leave configuration, log and results in this directory")
    chosen = options.parse_args()
    with tempest(home=chosen.home, folder=chosen.keep, workers=chosen.workers) as ready:
        results = ready.run(chosen.regex)
        sys.stdout.write(ready.last_words())
        sys.stdout.writelines(f"{n} skipped: {why}\n" for why, n in ready.why_skipped().most_common())
    counts = Counter(results.values())
    sys.stdout.write(f"\n{dict(counts)}\n")
    sys.stdout.writelines(f"{status} {test}\n" for test, status in sorted(results.items()) if status != "success")
    if chosen.grow:
        passed = {test for test, status in results.items() if status == "success"}
        PASSING.write_text("".join(f"{test}\n" for test in sorted(passed | set(must_pass()))))


if __name__ == "__main__":
    main()
