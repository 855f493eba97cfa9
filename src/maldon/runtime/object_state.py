"""The object store of a home, for `maldon status` and `maldon doctor`: its disks, its workers, its rings.

It looks at the files, so it needs nothing that runs; what only a running store can tell is asked for where one runs.
"""

import re
import stat
import time
from collections.abc import Iterator
from pathlib import Path as File
from typing import Any

import psutil

from maldon.objectstore import service as objectstore
from maldon.objectstore.recon.report import SILENT_S, NodeReport, silent, troubles
from maldon.objectstore.recon.stock import ABSENT
from maldon.runtime.home import Home
from maldon.runtime.object_home import cluster_of, secrets_file

_LEFT = re.compile(r"\..+\.(\d+)")  # what a process was writing when it died: .name.pid


def has_store(home: Home) -> bool:
    """Whether an object store was ever started here."""
    return secrets_file(home.path).exists()


def report(home: Home) -> NodeReport:
    """All that this node can say of itself. Raises Trouble."""
    return objectstore.recon(cluster_of(home.path)).report()


def workers(pid: int) -> dict[int, psutil.Process]:
    """The further processes of a cloud that serve objects, by number."""
    found = {}
    for child in psutil.Process(pid).children():
        try:
            number = next((word for word in child.cmdline() if word.startswith("--worker=")), "")
        except psutil.Error:
            continue
        if number:
            found[int(number.partition("=")[2])] = child
    return found


def findings(home: Home) -> Iterator[str]:
    """What is wrong with the object store of a home, as sentences. Raises Trouble."""
    if not has_store(home):
        return
    cluster = cluster_of(home.path)
    seen = objectstore.recon(cluster).report()
    yield from (f"object store: {line}" for line in troubles(seen))
    yield from (f"object store: {line}" for line in (*_of_rings(cluster, seen), *_quarantined(home, seen)))
    run = home.running()
    if run is not None and time.time() - run["begun"] > SILENT_S:
        yield from (f"object store: {line}" for line in _of_processes(cluster, seen, run))


def _of_rings(cluster: objectstore.Cluster, seen: NodeReport) -> Iterator[str]:
    """Rings that say of this node what it is not."""
    here = cluster.settings.address
    if not seen.rings:
        return
    if not here:
        yield "there are rings, and [object] address is empty: this node finds none of its disks in them"
        return
    named = cluster.rings.devices_at(here)
    for name in named:
        if seen.disks[name].state == ABSENT:
            yield f"the rings give {name} of {here} something to keep, and it is absent: mount it, or drain it"
    for name, disk in seen.disks.items():
        if name not in named and disk.objects > 0:
            yield f"no ring names {name} of {here}: the {disk.objects} objects on it are on their way to others"


def _quarantined(home: Home, seen: NodeReport) -> Iterator[str]:
    for name, disk in seen.disks.items():
        counted = ", ".join(f"{count} {kind}" for kind, count in sorted(disk.quarantined.items()) if count)
        if counted:
            yield f"{counted} lie in quarantine on {name} ({home / 'objects' / name}): look, then remove them by hand"


def _of_processes(cluster: objectstore.Cluster, seen: NodeReport, run: dict[str, Any]) -> Iterator[str]:
    wanted, there = cluster.settings.workers - 1, len(workers(run["pid"]))
    if there < wanted:
        yield f"{there} of {wanted} further workers run"
    if silent(seen):
        yield f"its loops do not run: they were last seen {seen.time - seen.seen_at:.0f} s ago"


def fixes(home: Home) -> Iterator[str]:
    """What can be put right without asking: it is done, and said."""
    secrets = secrets_file(home.path)
    if secrets.exists() and stat.S_IMODE(secrets.stat().st_mode) & 0o077:
        secrets.chmod(0o600)
        yield f"{secrets} is for its owner alone"
    for folder in ("rings", "objects", "objects/figures"):
        for file in _left(home / folder):
            file.unlink(missing_ok=True)
            yield f"{file} was left by a process that died"


def _left(folder: File) -> Iterator[File]:
    for file in folder.iterdir() if folder.is_dir() else ():
        found = _LEFT.fullmatch(file.name)
        if found and file.is_file() and not psutil.pid_exists(int(found[1])):
            yield file


def fixable(home: Home) -> Iterator[str]:
    """What `fixes` would put right."""
    secrets = secrets_file(home.path)
    if secrets.exists() and stat.S_IMODE(secrets.stat().st_mode) & 0o077:
        yield f"{secrets} can be read by others: whoever has it can read and write every disk (--fix)"
