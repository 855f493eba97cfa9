"""`maldon status`: the processes of a home, what they run and whether it runs."""

import json
import urllib.error
import urllib.request
from typing import Any

import psutil

from maldon.runtime.home import Home

PATIENCE_S = 3.0


def processes(home: Home) -> list[dict[str, Any]]:
    """One row per process: service, pid, port, rss_mb, roles (name to state)."""
    run = home.running()
    if run is None:
        return []
    problems = _problems(run["url"])
    memory = psutil.Process(run["pid"]).memory_info().rss
    roles = {name: problems.get(name, problems.get("", "running")) for name in run["roles"]}
    row = {"service": "maldon", "pid": run["pid"], "port": run["port"], "url": run["url"]}
    return [{**row, "rss_mb": round(memory / 2**20, 1), "home": str(home.path), "roles": roles}]


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
        lines.append(f"process {row['pid']}  {row['url']}  {row['rss_mb']} MiB  {row['home']}")
        lines += [f"  {name:<16} {state}" for name, state in row["roles"].items()]
    return "\n".join(lines)
