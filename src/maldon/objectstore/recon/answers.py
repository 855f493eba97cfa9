"""GET /recon/…: what a node says of itself, as Swift's recon does, and /recon/node: all of it in one piece.

    version time mem load sockstat                              the machine
    devices diskusage unmounted quarantined async               the disks
    ringmd5 policies                                            what the node believes of the cluster
    replication/{account,container,object} reconstruction/object sharding/container
    auditor/{account,container,object} updater/{container,object} expirer/object    when the loops last passed

It tells no names of what is stored and nothing secret, and is asked within the cluster's own network: a storage node
answers it without the cluster's key, as monitoring wants. On a proxy it is a layer that is off unless asked for. Of
Swift's there are none for what is not here: driveaudit, relinker, swiftconfmd5.
"""

import asyncio
import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from maldon import __version__
from maldon.objectstore.policies import Policies
from maldon.objectstore.recon import machine
from maldon.objectstore.recon.passes import Pass, Seen, read_seen
from maldon.objectstore.recon.report import NodeReport, PolicyRow
from maldon.objectstore.recon.stock import ABSENT, DiskState, look
from maldon.objectstore.rings import Rings
from maldon.objectstore.settings import ObjectSettings

PREFIX = "/recon/"
encode = msgspec.json.Encoder().encode


class Recon:
    """A node that may be asked. `folder` holds its disks, `reserve_percent` of which stay free."""

    def __init__(
        self, folder: Path, wanted: Callable[[], list[str]], rings: Rings, policies: Policies,
        settings: ObjectSettings, reserve_percent: int,
    ) -> None:  # fmt: skip
        self._folder, self._wanted, self._rings, self._policies = folder, wanted, rings, policies
        self._settings, self._reserve_percent = settings, reserve_percent
        self._answers: Mapping[str, Callable[[], Any]] = {
            "version": lambda: {"version": __version__},
            "time": time.time,
            "mem": machine.memory,
            "load": machine.load,
            "sockstat": machine.sockets,
            "devices": lambda: {str(folder): wanted()},
            "diskusage": lambda: [_usage(name, one) for name, one in self._disks().items()],
            "unmounted": lambda: [
                {"device": name, "mounted": False} for name, one in self._disks().items() if one.state == ABSENT
            ],
            "quarantined": lambda: _quarantined(self._disks()),
            "async": lambda: {"async_pending": sum(one.debts for one in self._disks().values())},
            "ringmd5": lambda: {str(rings.files[name].path): edition.md5 for name, edition in rings.editions().items()},
            "policies": lambda: policy_rows(policies),
            "node": self.report,
            **{what: lambda what=what: _PASSES[what](read_seen(folder)) for what in _PASSES},  # type: ignore[misc]
        }

    async def answer(self, what: str) -> bytes | None:
        """The JSON for /recon/<what>; None for what there is not."""
        found = self._answers.get(what.strip("/"))
        return None if found is None else encode(await asyncio.to_thread(found))

    def _disks(self) -> dict[str, DiskState]:
        """As they are now."""
        return {name: look(self._folder / name, self._reserve_percent) for name in self._wanted()}

    def report(self) -> NodeReport:
        """All of it. For a thread."""
        seen = read_seen(self._folder)
        disks = {
            name: msgspec.structs.replace(one, objects=seen.disks[name].objects if name in seen.disks else -1)
            for name, one in self._disks().items()
        }
        rings, policies = self._rings.editions(), policy_rows(self._policies)
        load = os.getloadavg()[0]
        return NodeReport(
            __version__, self._settings.address, time.time(), os.getpid(), load, disks, seen.loops, seen.at, rings,
            policies,
        )  # fmt: skip


def policy_rows(policies: Policies) -> list[PolicyRow]:
    """The storage policies as nodes compare them."""
    return [
        PolicyRow(one.index, one.name, one is policies.default, one.code.scheme if one.code else "")
        for one in sorted(policies, key=lambda policy: policy.index)
    ]


def _usage(name: str, disk: DiskState) -> dict[str, Any]:
    there = disk.state != ABSENT
    used = disk.size_bytes - disk.free_bytes
    said = {"size": disk.size_bytes, "used": used, "avail": disk.free_bytes} if there else {}
    return {"device": name, "mounted": there, **(said or dict.fromkeys(("size", "used", "avail"), ""))}


def _quarantined(disks: Mapping[str, DiskState]) -> dict[str, Any]:
    found: dict[str, Any] = {
        kind: sum(one.quarantined.get(kind, 0) for one in disks.values())
        for kind in ("accounts", "containers", "objects")
    }
    policies: dict[int, int] = {}
    for one in disks.values():
        for policy, count in one.policies.items():
            policies[policy] = policies.get(policy, 0) + count
    return found | {"policies": {str(policy): {"objects": count} for policy, count in sorted(policies.items())}}


def _pass(seen: Seen, name: str) -> Pass:
    return seen.loops.get(name) or Pass()


def _replication(name: str, prefix: str = "", unit_s: float = 1.0) -> Callable[[Seen], dict[str, Any]]:
    """How long the last pass took and when it ended, None before there was one; Swift counts objects' in minutes."""

    def answer(seen: Seen) -> dict[str, Any]:
        found = _pass(seen, name)
        known = found.passes > 0
        stats = {"success": found.did, "failure": found.failures, "start": found.begun}
        return {
            f"{prefix}replication_time": found.seconds / unit_s if known else None,
            f"{prefix}replication_last": found.begun + found.seconds if known else None,
            "replication_stats": stats,
        }

    return answer


def _timed(name: str, taken: str, unit_s: float = 1.0, **counts: str) -> Callable[[Seen], dict[str, Any]]:
    def answer(seen: Seen) -> dict[str, Any]:
        found = _pass(seen, name)
        known = found.passes > 0
        return {taken: found.seconds / unit_s if known else None} | {
            said: (getattr(found, of) if known else None) for said, of in counts.items()
        }

    return answer


def _sharding(seen: Seen) -> dict[str, Any]:
    found = _pass(seen, "shard containers")
    last = found.begun + found.seconds if found.passes else None
    return {"sharding_time": found.seconds if found.passes else None, "sharding_last": last,
            "sharding_stats": {"sharding": {"moved": found.did, "failure": found.failures}}}  # fmt: skip


def _auditor(seen: Seen) -> dict[str, Any]:
    found = _pass(seen, "audit objects")
    if not found.passes:
        return {"object_auditor_stats_ALL": None}
    stats = {"audit_time": found.seconds, "start_time": found.begun, "quarantined": found.did, "errors": found.failures}
    return {"object_auditor_stats_ALL": stats}


def _books_audited(kind: str) -> Callable[[Seen], dict[str, Any]]:
    """Accounts and containers are looked through together."""
    names = (f"{kind}_auditor_pass_completed", f"{kind}_audits_since", f"{kind}_audits_failed")

    def answer(seen: Seen) -> dict[str, Any]:
        found = _pass(seen, "audit books")
        said = (found.seconds, found.begun, found.did) if found.passes else (None, None, None)
        return dict(zip(names, said, strict=True))

    return answer


_PASSES: Mapping[str, Callable[[Seen], dict[str, Any]]] = {
    "replication/account": _replication("replicate books"),
    "replication/container": _replication("replicate books"),
    "replication/object": _replication("replicate objects", "object_", 60.0),
    "reconstruction/object": _timed(
        "reconstruct objects", "object_reconstruction_time", 60.0, object_reconstruction_last="begun"
    ),
    "sharding/container": _sharding,
    "auditor/object": _auditor,
    "auditor/account": _books_audited("account"),
    "auditor/container": _books_audited("container"),
    "updater/container": _timed("tell accounts of all", "container_updater_sweep"),
    "updater/object": _timed("pay debts", "object_updater_sweep"),
    "expirer/object": _timed("expire objects", "object_expiration_pass", expired_last_pass="did"),  # noqa: S106 - no password
}
