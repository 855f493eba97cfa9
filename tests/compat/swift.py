r"""Swift's functional tests against simulated clouds, as a black box.

They run against a store with users of its own; those that are skipped there, against one with identity's users and
other settings. As a command it runs those that match, prints every failure and a summary, and with --grow adds what
passed to the list:

    python -m tests.compat.swift [-k EXPRESSION] [--way own|identity|coded] [--grow] [--keep DIR]
"""

import argparse
import contextlib
import os
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ET
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.clouds import ROOT, RunningCloud, running_cloud
from tests.object_coded import CODE, write_rings
from tests.servers import free_port

PASSING = Path(__file__).parent / "swift-passing.txt"
SOURCES = ROOT / ".cache" / "swift-tests"
PYTHON = ROOT / ".venv-swift" / "bin" / "python"
OWN_SETTINGS = """
[object]
port = {port}
without = ["identity", "name_check"]
allow_account_management = true
policies = ["0:gold", "1:silver"]
service_prefixes = ["SERVICE_:service"]

[object-domain_remap]
storage_domains = ["store.test"]

[object-tempauth]
users = [
  "test:tester:testing:.admin", "test:tester3:testing3", "test2:tester2:testing2:.admin",
  "test5:tester5:testing5:service", "test:tester6:testing6:.reseller_admin",
]
"""
IDENTITY_SETTINGS = """
[object]
port = {port}
allow_open_expired = true
delay_reaping = ["*:3600"]
policies = ["0:gold", "1:silver"]
service_prefixes = ["SERVICE_:service"]
"""
CONF = """
[func_test]
auth_uri = {auth_uri}
auth_version = {version}
account = test
username = tester
password = testing
account2 = test2
username2 = tester2
password2 = testing2
username3 = tester3
password3 = testing3
account4 = test4
username4 = tester4
password4 = testing4
domain4 = test-domain
account5 = test5
username5 = tester5
password5 = testing5
account6 = test
username6 = tester6
password6 = testing6
domain = Default
domain2 = Default
domain3 = Default
domain5 = Default
domain6 = Default
service_prefix = SERVICE
collate = C
storage_domain = store.test
"""
PEOPLE = (
    ("tester", "test", "member"), ("tester2", "test2", "member"), ("tester3", "test", "bystander"),
    ("tester4", "test4", "member"), ("tester5", "test5", "service"), ("tester6", "test", "ResellerAdmin"),
)  # fmt: skip


def _own(cloud: RunningCloud, port: int) -> str:
    """The test.conf for users of the store's own."""
    return CONF.format(auth_uri=f"http://127.0.0.1:{port}/auth/v1.0", version=1)


def _identity(cloud: RunningCloud, port: int) -> str:
    """The test.conf for identity's users, who are made here; the catalog leads to the store's own port."""
    ask = cloud.api("maldon-admin")

    def made(kind: str, **about: Any) -> str:
        status, body = ask("POST", f"/identity/v3/{kind}s", {kind: about})
        assert status == 201, body
        return str(body[kind]["id"])

    domain = made("domain", name="test-domain")
    roles = {role["name"]: role["id"] for role in ask("GET", "/identity/v3/roles")[1]["roles"]}
    roles |= {name: made("role", name=name) for _, _, name in PEOPLE if name not in roles}
    projects: dict[str, str] = {}
    for user, project, role in PEOPLE:
        of = domain if project == "test4" else "default"
        if project not in projects:
            projects[project] = made("project", name=project, domain_id=of)
        user_id = made("user", name=user, domain_id=of, password=user.replace("tester", "testing"))
        grant = f"/identity/v3/projects/{projects[project]}/users/{user_id}/roles/{roles[role]}"
        assert ask("PUT", grant)[0] == 204
    (service,) = ask("GET", "/identity/v3/services?type=object-store")[1]["services"]
    for endpoint in ask("GET", f"/identity/v3/endpoints?service_id={service['id']}")[1]["endpoints"]:
        url = f"http://127.0.0.1:{port}/v1/AUTH_%(project_id)s"
        assert ask("PATCH", f"/identity/v3/endpoints/{endpoint['id']}", {"endpoint": {"url": url}})[0] == 200
    return CONF.format(auth_uri=f"http://127.0.0.1:{cloud.port}/identity/v3", version=3)


WAYS = {"own": (OWN_SETTINGS, _own), "identity": (IDENTITY_SETTINGS, _identity)}
CODED = f"""policies = ["0:gold", "1:silver:ec={CODE}"]
default_policy = "silver"
devices = ["disk-1", "disk-2", "disk-3", "disk-4", "disk-5", "disk-6"]
"""
ALL_WAYS = {**WAYS, "coded": (OWN_SETTINGS.replace('policies = ["0:gold", "1:silver"]\n', CODED), _own)}
"""By name: the settings, and what makes the test.conf. The last has objects in fragments of an erasure code."""


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
def swift_tests(way: str, folder: Path | None = None) -> Iterator[SwiftTests]:
    """Ready to run against a cloud of its own."""
    settings, conf = ALL_WAYS[way]
    with contextlib.ExitStack() as stack:
        port = free_port()
        prepare = _rings_of_fragments if way == "coded" else _no_rings
        cloud = stack.enter_context(running_cloud(simulate=True, settings=settings.format(port=port), prepare=prepare))
        folder = folder or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="maldon-swift-")))
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "test.conf").write_text(conf(cloud, port))
        yield SwiftTests(cloud, folder.absolute())


def _rings_of_fragments(cloud: RunningCloud) -> None:
    write_rings(cloud.home)


def _no_rings(cloud: RunningCloud) -> None:
    """One disk has it all."""


def these(tests: Iterable[str]) -> str:
    """An expression for pytest's -k that matches these."""
    return " or ".join(sorted({test.rpartition(".")[2] for test in tests}))


def run_both(folder: Path | None = None, wanted: str = "") -> tuple[dict[str, str], dict[str, str]]:
    """The outcome of each test, and the last words of those that failed; what is skipped one way is run the other."""
    results: dict[str, str] = {}
    said: dict[str, str] = {}
    for way in WAYS:
        if results:
            wanted = these(test for test, outcome in results.items() if outcome == "skipped")
            if not wanted:
                break
        with swift_tests(way, folder and folder / way) as ready:
            found = ready.run(*(["-k", wanted] if wanted else []))
            said |= {name: text for name, text in ready.failures() if results.get(name) in {None, "skipped"}}
        results |= {test: outcome for test, outcome in found.items() if results.get(test) in {None, "skipped"}}
    return results, said


def main() -> None:
    options = argparse.ArgumentParser(description="Run Swift's functional tests against simulated clouds.")
    options.add_argument("-k", default="", help="which tests, as pytest's -k")
    options.add_argument("--way", choices=ALL_WAYS, help="run all of them this way alone")
    options.add_argument("--grow", action="store_true", help="add what passed to the list")
    options.add_argument("--keep", type=Path, help="leave configuration, output and report in this directory")
    chosen = options.parse_args()
    if chosen.way:
        with swift_tests(chosen.way, chosen.keep) as ready:
            results, said = ready.run(*(["-k", chosen.k] if chosen.k else [])), dict(ready.failures())
    else:
        results, said = run_both(chosen.keep, chosen.k)
    for name, text in said.items():
        sys.stdout.write(f"=== {name}\n{text[-3000:]}\n")
    sys.stdout.writelines(f"{outcome} {name}\n" for name, outcome in sorted(results.items()) if outcome != "passed")
    sys.stdout.write(f"{dict(Counter(results.values()))}\n")
    if chosen.grow:
        passed = {name for name, outcome in results.items() if outcome == "passed"}
        PASSING.write_text("".join(f"{name}\n" for name in sorted(passed | set(must_pass()))))


if __name__ == "__main__":
    main()
