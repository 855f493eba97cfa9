r"""Swift's functional tests against a simulated cloud, as a black box.

As a command it runs those that match, prints every failure and a summary, and with --grow adds what passed to the list:

    python -m tests.compat.swift [-k EXPRESSION] [--grow] [--keep DIR]
"""

import argparse
import contextlib
import os
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ET
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.clouds import ROOT, RunningCloud, running_cloud
from tests.servers import free_port

PASSING = Path(__file__).parent / "swift-passing.txt"
SOURCES = ROOT / ".cache" / "swift-tests"
PYTHON = ROOT / ".venv-swift" / "bin" / "python"
SETTINGS = """
[object]
port = {port}
without = ["identity", "name_check"]
allow_account_management = true
policies = ["0:gold", "1:silver"]

[object-domain_remap]
storage_domains = ["store.test"]

[object-tempauth]
users = [
  "test:tester:testing:.admin", "test:tester3:testing3", "test2:tester2:testing2:.admin",
  "test5:tester5:testing5:service", "test:tester6:testing6:.reseller_admin",
]
"""
CONF = """
[func_test]
auth_uri = http://127.0.0.1:{port}/auth/v1.0
account = test
username = tester
password = testing
account2 = test2
username2 = tester2
password2 = testing2
username3 = tester3
password3 = testing3
account6 = test
username6 = tester6
password6 = testing6
collate = C
storage_domain = store.test
"""


@dataclass
class SwiftTests:
    """A folder with what they need to know of one cloud."""

    cloud: RunningCloud
    folder: Path

    def run(self, *options: str) -> dict[str, str]:
        """Run them; each id with "passed", "skipped" or "failed"."""
        report, tests = self.folder / "report.xml", SOURCES / "test" / "functional"
        files = sorted([*tests.glob("test_*.py"), tests / "tests.py"])
        environ = {
            **{k: v for k, v in os.environ.items() if not k.startswith(("SWIFT_", "PYTEST_", "OS_"))},
            "SWIFT_TEST_IN_PROCESS": "0",
            "SWIFT_TEST_CONFIG_FILE": str(self.folder / "test.conf"),
        }
        (self.folder / "pytest.ini").write_text("[pytest]\njunit_family = xunit1\n")  # and not ours
        words = ["-m", "pytest", "-q", "-c", str(self.folder / "pytest.ini"), "-p", "no:cacheprovider"]
        words += ["--rootdir", str(SOURCES)]
        words.append(f"--junit-xml={report}")
        with (self.folder / "output.txt").open("w") as out:
            subprocess.run(
                [PYTHON, *words, *options, *files], cwd=SOURCES, env=environ, stdout=out, stderr=out, check=False
            )
        return {name: outcome for name, outcome, _ in _cases(report)}

    def failures(self) -> Iterator[tuple[str, str]]:
        """Each failed test with its last words."""
        for name, outcome, said in _cases(self.folder / "report.xml"):
            if outcome == "failed":
                yield name, said


def _cases(report: Path) -> Iterator[tuple[str, str, str]]:
    for case in ET.parse(report).iter("testcase"):
        name = f"{case.get('classname')}.{case.get('name')}".removeprefix("test.functional.")
        wrong = case.find("failure") if case.find("failure") is not None else case.find("error")
        if wrong is not None:
            yield name, "failed", wrong.text or ""
        else:
            yield name, "passed" if case.find("skipped") is None else "skipped", ""


def must_pass() -> list[str]:
    """The ids of the tests that pass, for good: the list only grows."""
    return PASSING.read_text().split()


@contextlib.contextmanager
def swift_tests(folder: Path | None = None) -> Iterator[SwiftTests]:
    """Ready to run against a cloud of its own."""
    with contextlib.ExitStack() as stack:
        port = free_port()
        cloud = stack.enter_context(running_cloud(simulate=True, settings=SETTINGS.format(port=port)))
        folder = folder or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="maldon-swift-")))
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "test.conf").write_text(CONF.format(port=port))
        yield SwiftTests(cloud, folder.absolute())


def main() -> None:
    options = argparse.ArgumentParser(description="Run Swift's functional tests against a simulated cloud.")
    options.add_argument("-k", default="", help="which tests, as pytest's -k")
    options.add_argument("--grow", action="store_true", help="add what passed to the list")
    options.add_argument("--keep", type=Path, help="leave configuration, output and report in this directory")
    chosen = options.parse_args()
    with swift_tests(chosen.keep) as ready:
        results = ready.run(*(["-k", chosen.k] if chosen.k else []))
        for name, said in ready.failures():
            sys.stdout.write(f"=== {name}\n{said[-3000:]}\n")
    sys.stdout.writelines(f"{outcome} {name}\n" for name, outcome in sorted(results.items()) if outcome == "failed")
    sys.stdout.write(f"{dict(Counter(results.values()))}\n")
    if chosen.grow:
        passed = {name for name, outcome in results.items() if outcome == "passed"}
        PASSING.write_text("".join(f"{name}\n" for name in sorted(passed | set(must_pass()))))


if __name__ == "__main__":
    main()
