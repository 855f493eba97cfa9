"""`maldon status`: the processes of a home, what they run and whether it runs; the disks of its object store."""

import json
import urllib.error
import urllib.request
from typing import Any

import msgspec
import psutil

from maldon.runtime import object_state
from maldon.runtime.home import Home

PATIENCE_S = 3.0


def processes(home: Home) -> list[dict[str, Any]]:
    """One row per process: service, pid, port, rss_mb; the first has its roles with their states, and the disks."""
    run = home.running()
    if run is None:
        return []
    problems = _problems(run["url"])
    roles = {name: problems.get(name, problems.get("", "running")) for name in run["roles"]}
    row = {"service": "maldon", "pid": run["pid"], "port": run["port"], "url": run["url"], "home": str(home.path)}
    rows = [{**row, "rss_mb": _rss_mb(psutil.Process(run["pid"])), "roles": roles, "disks": _disks(home)}]
    for number, worker in sorted(object_state.workers(run["pid"]).items()):
        rows.append({"service": "object-worker", "number": number, "pid": worker.pid, "rss_mb": _rss_mb(worker)})
    return rows


def _rss_mb(process: psutil.Process) -> float:
    try:
        return round(process.memory_info().rss / 2**20, 1)
    except psutil.Error:
        return 0.0


def _disks(home: Home) -> dict[str, Any]:
    return msgspec.to_builtins(object_state.report(home).disks) if object_state.has_store(home) else {}


def _problems(url: str) -> dict[str, str]:
    """What /readyz complains of; everything under "" when it does not answer."""
    try:
        with urllib.request.urlopen(f"{url}/readyz", timeout=PATIENCE_S) as answer:  # noqa: S310 - our own address
            return dict(json.loads(answer.read()))
    except urllib.error.HTTPError as error:
        return dict(json.loads(error.read()))
    except (OSError, ValueError) as error:
        return {"": f"does not answer: {error}"}


def table(rows: list[dict[str, Any]]) -> str:
    """The rows for people."""
    lines = []
    for row in rows:
        if row["service"] != "maldon":
            lines.append(f"  {row['service']} {row['number']:<2} process {row['pid']}  {row['rss_mb']} MiB")
            continue
        lines.append(f"process {row['pid']}  {row['url']}  {row['rss_mb']} MiB  {row['home']}")
        lines += [f"  {name:<16} {state}" for name, state in row["roles"].items()]
        lines += [f"  {name:<16} {_disk(disk)}" for name, disk in row["disks"].items()]
    return "\n".join(lines)


def _disk(disk: dict[str, Any]) -> str:
    if disk["state"] != "ok":
        return f"{disk['state']}: {disk['said']}"
    free = f"{100 * disk['free_bytes'] / max(1, disk['size_bytes']):.0f} % of {disk['size_bytes'] / 2**30:.1f} GiB free"
    aside = sum(disk["quarantined"].values())
    return (
        f"ok, {free}"
        + (f", {disk['debts']} debts" if disk["debts"] else "")
        + (f", {aside} quarantined" if aside else "")
    )
