"""`maldon object join`: a home becomes a further node of a cluster, before its first start.

The cluster's secrets come as a copy of one file, by hand: whoever has it can read and write every disk, so no node
gives it out. With it, the rings are fetched from a node that has them; what must be the same in both homes is compared.
"""

import asyncio
from collections.abc import Iterator
from pathlib import Path as File

from maldon.objectstore.recon.answers import policy_rows
from maldon.objectstore.recon.asking import Asking
from maldon.objectstore.recon.report import NodeReport, decode, differences
from maldon.objectstore.ring.file import BadRing, accept
from maldon.runtime.home import Home, Trouble
from maldon.runtime.object_home import policies_of, secrets_file, secrets_of, settings_of
from maldon.runtime.ring_rounds import ring_path


def join(home: File, peer: str) -> Iterator[str]:
    """Fetch the rings; a line for each, then what comes next. Raises Trouble."""
    Home(home).make()
    file, settings = secrets_file(home), settings_of(home)
    if not file.exists():
        raise Trouble(f"Copy objects/cluster.json of any node of the cluster to {file} first: it is the cluster's key.")
    if not settings.address:
        raise Trouble(f"[object] address in {Home(home) / 'maldon.toml'} wants the HOST:PORT others find this node at.")
    asking = Asking(secrets_of(home).cluster_key)
    report = _report(asking, peer)
    wrong = list(differences(report, report.rings, policy_rows(policies_of(home))))
    if wrong:
        raise Trouble(f"{peer}: {wrong[0]}.")
    for name, content in _rings(asking, peer, report).items():
        try:
            yield f"{name}: version {accept(ring_path(home, name), content)}"
        except BadRing as error:
            raise Trouble(str(error)) from error
    yield f"Start it: maldon run object-storage --home {Home(home).path}"
    yield f"Then give it something: maldon ring add --address {settings.address} --device disk-1 --rebalance"


def _report(asking: Asking, peer: str) -> NodeReport:
    answer = asyncio.run(asking.ask_all([peer], "/recon/node"))[peer]
    if not answer.ok:
        raise Trouble(f"{peer}: {answer.said}; it wants to be the HOST:PORT of a storage node that runs.")
    return decode(answer.body)


def _rings(asking: Asking, peer: str, report: NodeReport) -> dict[str, bytes]:
    if not report.rings:
        raise Trouble(f"{peer} has no rings: `maldon ring create` and `maldon ring add --rebalance` there come first.")
    answers = asyncio.run(asking.ask({(peer, f"/rings/{name}"): None for name in report.rings}))
    for answer in answers.values():
        if not answer.ok:
            raise Trouble(f"{peer}: {answer.said} Is objects/cluster.json a copy of that node's?")
    return {path.rpartition("/")[2]: answer.body for (_, path), answer in answers.items()}
