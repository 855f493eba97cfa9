"""Storage policies: how the objects of a container are kept, chosen when it is made and never changed.

A policy is known by its index in the rings and databases and by its name to users. Policy 0 must exist: it is the one
of containers that are older than policies. The default is what a container gets that names none; changing it touches no
container that exists.

    0:gold                                  whole copies, as many as the ring says
    1:silver:tin                            the same, under two names
    2:deep:ec=isa_l_rs_vand/4+2             fragments of an erasure code (`coding/code.py`), a ring of six replicas
    3:old:deprecated                        for containers that have it
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from maldon.kernel.settings import BadSetting
from maldon.objectstore.coding.code import Code, read_code


@dataclass(frozen=True, slots=True)
class Policy:
    """Its objects are kept as whole copies, as many as its ring says, or as the fragments of a code."""

    index: int
    name: str
    aliases: tuple[str, ...] = ()
    deprecated: bool = False
    code: Code | None = None


class Policies:
    """All policies of the cluster."""

    def __init__(self, policies: Iterable[Policy], default: str = "") -> None:
        self._by_index = {policy.index: policy for policy in policies}
        self._by_name = {name.lower(): p for p in self for name in (p.name, *p.aliases)}
        if 0 not in self._by_index:
            raise BadSetting("[object] policies wants a policy with index 0.")
        found = self.named(default) if default else self._by_index[0]
        if found is None or found.deprecated:
            raise BadSetting(f"[object] default_policy names {default!r}, which is no policy, or a deprecated one.")
        self.default = found

    def __iter__(self) -> Iterator[Policy]:
        return iter(self._by_index.values())

    def __getitem__(self, index: int) -> Policy:
        return self._by_index[index]

    def get(self, index: int) -> Policy | None:
        return self._by_index.get(index)

    def named(self, name: str) -> Policy | None:
        """By name or alias, without case."""
        return self._by_name.get(name.lower())


def read_policies(texts: Iterable[str], default: str = "") -> Policies:
    """Policies as the settings write them. Raises BadSetting."""
    policies = [_read(text) for text in texts]
    names = [name.lower() for p in policies for name in (p.name, *p.aliases)]
    if len(set(names)) < len(names) or len({p.index for p in policies}) < len(policies):
        raise BadSetting("[object] policies names the same policy twice.")
    return Policies(policies, default)


def _read(text: str) -> Policy:
    index, *words = text.split(":")
    codes = [word.removeprefix("ec=") for word in words if word.startswith("ec=")]
    names = [word for word in words if word != "deprecated" and not word.startswith("ec=")]
    named = names and all(names) and not any("=" in name for name in names)
    if not (index.isascii() and index.isdigit() and named and len(codes) <= 1):
        raise BadSetting(
            f"[object] policies wants index:name[:alias…][:ec=kind/data+parity][:deprecated], not {text!r}."
        )
    code = read_code(codes[0]) if codes else None
    return Policy(int(index), names[0], tuple(names[1:]), "deprecated" in words, code)
