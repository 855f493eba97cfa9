"""The packet filter that a node's namespace really holds.

Changes are applied as differences while this process knows what is there. When it does not (the first change after a
crash, a transaction that failed, chains that somebody removed), everything is replaced in one transaction: either way
packets see the old rules or the new, and connection tracking is left alone.
"""

import json

from maldon.drivers.switch import filter as packet_filter
from maldon.drivers.switch import namespace
from maldon.drivers.switch.filter import Rules


class Ruleset:
    def __init__(self, node: str, known: Rules | None) -> None:
        self._node = node
        self._known = known

    def apply(self, wanted: Rules) -> None:
        """Make the namespace hold `wanted`."""
        known, self._known = self._known, None
        if known is None:
            self._load(packet_filter.whole(wanted))
        elif changes := packet_filter.change(known, wanted):
            try:
                self._load(changes)
            except OSError:  # it was not as we knew it
                self._load(packet_filter.whole(wanted))
        self._known = wanted

    def check(self, wanted: Rules) -> None:
        """Forget what is known if chains are missing or left over, so that the next `apply` makes everything anew."""
        if packet_filter.chains(wanted) != self.chains():
            self._known = None

    def chains(self) -> set[tuple[str, str]]:
        """(family, name) of the chains that are there; empty when the namespace is not."""
        if not namespace.exists(self._node):
            return set()
        with namespace.entered(self._node):
            return list_chains()

    def _load(self, text: str) -> None:
        with namespace.entered(self._node):
            load(text)


def load(text: str) -> None:
    """Apply one transaction in the thread's namespace."""
    namespace.run(["nft", "-f", "-"], text)


def try_out(text: str) -> None:
    """OSError if this kernel would not take the transaction; nothing is changed."""
    namespace.run(["nft", "-c", "-f", "-"], text)


def list_chains() -> set[tuple[str, str]]:
    listing = json.loads(namespace.run(["nft", "-j", "list", "chains"]))["nftables"]
    found = [entry["chain"] for entry in listing if "chain" in entry]
    return {(chain["family"], chain["name"]) for chain in found if chain["table"] == "maldon"}
