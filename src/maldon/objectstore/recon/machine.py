"""What the kernel says of the machine a node runs on, in the words of Swift's recon."""

import os
from pathlib import Path

PROC = Path("/proc")


def memory() -> dict[str, str]:
    lines = (line.split(":", 1) for line in (PROC / "meminfo").read_text().splitlines() if ":" in line)
    return {name: value.strip() for name, value in lines}


def load() -> dict[str, float | str | int]:
    one, five, fifteen, tasks, last = (PROC / "loadavg").read_text().split()
    return {"1m": float(one), "5m": float(five), "15m": float(fifteen), "tasks": tasks, "processes": int(last)}


def sockets() -> dict[str, int]:
    found: dict[str, int] = {}
    for line in (PROC / "net" / "sockstat").read_text().splitlines():
        if line.startswith("TCP: "):
            words = line.split()[1:]
            said = dict(zip(words[::2], map(int, words[1::2]), strict=True))
            found |= {"tcp_in_use": said["inuse"], "orphan": said["orphan"], "time_wait": said["tw"]}
            found["tcp_mem_allocated_bytes"] = said["mem"] * os.sysconf("SC_PAGE_SIZE")
    six = PROC / "net" / "sockstat6"
    if six.exists():
        lines = (line.split() for line in six.read_text().splitlines())
        found["tcp6_in_use"] = next((int(words[2]) for words in lines if words[0] == "TCP6:"), 0)
    return found
