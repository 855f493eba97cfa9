"""What a PUT has on stable storage before it is answered, as the kernel saw it: docs/object-durability.md shows it."""

import contextlib
import os
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.clouds import running_cloud, wait_for
from tests.probe.test_object_workers import Client
from tests.servers import free_port

CALLS = "write,writev,fdatasync,fsync,linkat"
BOOKS = {"accounts", "containers"}  # which are written at other times
_LINE = re.compile(r"(\d+) +(?:(\w+)\((.*)|<\.\.\. (\w+) resumed>(.*))")


@dataclass
class Call:
    """A call and where it begins and ends among the lines of a trace."""

    name: str
    said: str
    begun: int
    ended: int = -1

    @property
    def place(self) -> str:
        """The directory of the disk that it concerns, "" elsewhere; "large folder" is one that large bodies lie in."""
        if found := re.search(r"/objects/disk-1/(\w+)/?(\S*?)>", self.said):
            return f"{found[1]} folder" if found[1] == "large" and len(found[2]) == 2 else found[1]
        return ""


def calls(trace: str) -> list[Call]:
    """The calls of all threads, each with its end, which may be lines after its beginning."""
    found: list[Call] = []
    open_: dict[str, Call] = {}
    for n, line in enumerate(trace.splitlines()):
        match = _LINE.match(line)
        if match is None:
            continue
        pid, name, said, resumed, rest = match.groups()
        if resumed:
            call = open_.pop(pid)
            call.said, call.ended = call.said + rest, n
            continue
        found.append(Call(name, said, n))
        if said.endswith("<unfinished ...>"):
            open_[pid] = found[-1]
        else:
            found[-1].ended = n
    return found


@contextlib.contextmanager
def traced(pid: int, file: Path):
    tracer = subprocess.Popen(
        ["strace", "-f", "-y", "-s", "40", "-e", f"trace={CALLS}", "-o", file, "-p", str(pid)],
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    threads = Path(f"/proc/{pid}/task")
    try:
        wait_for(
            "every thread is watched",
            lambda: all("TracerPid:\t0\n" not in (t / "status").read_text() for t in threads.iterdir()),
        )
        yield
    finally:
        tracer.terminate()
        tracer.wait(30)


def synced_before_answer(trace: str) -> list[str]:
    """What was on stable storage when the 201 began to be written, in the order it came to be so."""
    done = calls(trace)
    answer = next(call for call in done if "HTTP/1.1 201" in call.said)
    before = sorted((call for call in done if 0 <= call.ended < answer.begun), key=lambda call: call.ended)
    synced: list[str] = []
    for call in before:
        synced_well = call.name in {"fdatasync", "fsync"} and call.said.endswith("= 0")
        if not synced_well or not call.place or call.place in BOOKS:
            continue
        written = [one for one in before if one.name in {"writev", "linkat"} and one.place == call.place]
        assert written, call
        assert max(one.ended for one in written) < call.begun
        synced.append(call.place)
    return synced


@pytest.fixture(scope="module")
def served():
    with running_cloud(simulate=True, settings=f"[object]\nport = {free_port()}\n") as cloud:
        client = Client(cloud)
        assert client("PUT", "c")[0] == 201
        yield cloud, client


@pytest.mark.parametrize(
    ("size", "synced"),
    [(4096, ["segments"]), (1_000_000, ["segments"]), (2_000_000, ["large", "large folder", "segments"])],
)
def test_what_is_answered_is_on_stable_storage(served, tmp_path, size, synced):
    cloud, client = served
    assert client("PUT", "c/before", b"a segment is open")[0] == 201
    with traced(cloud.pid, tmp_path / "trace"):
        assert client("PUT", f"c/{size}", os.urandom(size))[0] == 201
    assert synced_before_answer((tmp_path / "trace").read_text()) == synced
