"""The rings of this process: read from files where there are some, otherwise those of one node with one disk.

A policy of an erasure code wants a ring with as many replicas as the code has fragments: each replica of a partition is
the place of the fragment with its number.
"""

import hashlib
from collections.abc import Iterable
from pathlib import Path

import msgspec

from maldon.kernel.errors import Unavailable
from maldon.kernel.settings import BadSetting
from maldon.objectstore.coding.code import Code
from maldon.objectstore.path import PathHash
from maldon.objectstore.policies import Policy
from maldon.objectstore.ring.file import RingFile
from maldon.objectstore.ring.ring import Ring, single


class Edition(msgspec.Struct, frozen=True):
    """Which ring a file holds: the number of its last round, the digest of its bytes."""

    version: int
    md5: str


class Rings:
    """`folder` has account.ring, container.ring, object.ring and object-N.ring for the policy with index N; each is
    read anew when it is replaced. Where none is, everything is on `device` of `address`.
    """

    def __init__(
        self, folder: Path, hashed: PathHash, policies: Iterable[Policy], device: str, address: str = ""
    ) -> None:
        alone = single(device, address, hashed)
        names = {policy.index: object_ring(policy.index) for policy in policies}
        self.files = {
            name: RingFile(folder / f"{name}.ring", hashed, alone) for name in ("account", "container", *names.values())
        }
        self.account, self.container = self.files["account"].ring, self.files["container"].ring
        self._objects = {index: self.files[name].ring for index, name in names.items()}
        self._codes = {policy.index: policy.code for policy in policies if policy.code is not None}
        for policy in policies:
            check_replicas(policy, self._objects[policy.index]().replicas)

    def object(self, policy: int) -> Ring:
        """The ring of a storage policy. Raises Unavailable for one that this node knows nothing of."""
        ring = self._objects.get(policy)
        if ring is None:
            raise Unavailable("", internal=f"no storage policy has the index {policy}")
        return ring()

    def code(self, policy: int) -> Code | None:
        """The erasure code of a storage policy; None for one of whole copies."""
        return self._codes.get(policy)

    def look(self) -> None:
        """Read now what was replaced."""
        for file in self.files.values():
            file.look()

    def editions(self) -> dict[str, Edition]:
        """The rings that have a file."""
        found = {}
        for name, file in self.files.items():
            try:
                content = file.path.read_bytes()
            except OSError:
                continue
            found[name] = Edition(file.ring().version, hashlib.md5(content, usedforsecurity=False).hexdigest())
        return found

    def devices_at(self, address: str) -> list[str]:
        """The disks that any of the rings gives something to at an address."""
        rings = [file.ring() for file in self.files.values()]
        return sorted({one.device for ring in rings for one in ring.devices.values() if one.address == address})

    def addresses(self) -> list[str]:
        """Every storage node of the rings."""
        rings = [file.ring() for file in self.files.values()]
        return sorted({one.address for ring in rings for one in ring.devices.values() if one.address})


def object_ring(policy: int) -> str:
    """The name of the ring of a storage policy."""
    return f"object-{policy}" if policy else "object"


def check_replicas(policy: Policy, replicas: float) -> None:
    """Raise BadSetting for a ring that has no place for each of a code's fragments."""
    if policy.code is not None and policy.code.fragments != replicas:
        raise BadSetting(
            f"The storage policy {policy.name!r} ({policy.code.scheme}) wants a ring {object_ring(policy.index)} with "
            f"{policy.code.fragments} replicas, and there is one with {replicas:g}."
        )
