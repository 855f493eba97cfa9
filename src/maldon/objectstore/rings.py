"""The rings of this process: read from files where there are some, otherwise those of one node with one disk."""

from collections.abc import Callable, Iterable
from pathlib import Path

from maldon.kernel.errors import Unavailable
from maldon.objectstore.path import PathHash
from maldon.objectstore.policies import Policy
from maldon.objectstore.ring.file import RingFile
from maldon.objectstore.ring.ring import Ring, single


class Rings:
    """`folder` has account.ring, container.ring, object.ring and object-N.ring for the policy with index N; each is
    read anew when it is replaced. Where none is, everything is on `device` of `address`.
    """

    def __init__(
        self, folder: Path, hashed: PathHash, policies: Iterable[Policy], device: str, address: str = ""
    ) -> None:
        alone = single(device, address, hashed)

        def ring(name: str) -> Callable[[], Ring]:
            file = folder / f"{name}.ring"
            return RingFile(file, hashed).ring if file.exists() else lambda: alone

        self.account, self.container = ring("account"), ring("container")
        names = {policy.index: f"object-{policy.index}" if policy.index else "object" for policy in policies}
        self._objects = {index: ring(name) for index, name in names.items()}

    def object(self, policy: int) -> Ring:
        """The ring of a storage policy. Raises Unavailable for one that this node knows nothing of."""
        ring = self._objects.get(policy)
        if ring is None:
            raise Unavailable("", internal=f"no storage policy has the index {policy}")
        return ring()
