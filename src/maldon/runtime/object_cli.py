"""`maldon object`: where things of the object store are, what this node holds of them, how the cluster is.

Nothing here needs a process that serves the store: `info` reads this home's disks, `locate` its rings. `recon` and
`dispersion` ask the storage nodes that the rings name.
"""

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path as File
from typing import Any, TypeVar

import apsw
import click

from maldon.kernel.errors import CloudError
from maldon.objectstore import service as objectstore
from maldon.objectstore.path import Path
from maldon.objectstore.policies import Policies, Policy
from maldon.objectstore.proxy.placing import Place, Placing
from maldon.objectstore.ring.device import RingDevice
from maldon.runtime.home import Trouble
from maldon.runtime.object_home import cluster_of, secrets_file
from maldon.runtime.options import HOME

T = TypeVar("T")
PLACE = click.argument("place", metavar="ACCOUNT[/CONTAINER[/OBJECT]]")
POLICY = click.option("--policy", help="Storage policy of the object, by name or index; 0 unless it can be seen.")
JSON = click.option("--json", "as_json", is_flag=True, help="As JSON.")


@click.group("object")
def object_() -> None:
    """Look into the object store."""


def path_of(text: str) -> Path:
    """What an operator wrote. Raises Trouble."""
    names = text.removeprefix("/").split("/", 2)
    if not names[0] or (len(names) == 3 and not names[1]):
        raise Trouble(f"{text!r} is no ACCOUNT[/CONTAINER[/OBJECT]].")
    return Path(*names)


def policy_of(policies: Policies, text: str) -> Policy:
    """By name or index. Raises Trouble."""
    found = policies.get(int(text)) if text.isdecimal() and len(text) < 6 else policies.named(text)
    if found is None:
        raise Trouble(f"There is no storage policy {text!r}; there are {', '.join(one.name for one in policies)}.")
    return found


def placing_of(cluster: objectstore.Cluster) -> Placing:
    return Placing(cluster.rings, cluster.nodes, cluster.settings)


@object_.command()
@HOME
@PLACE
@POLICY
@JSON
def info(home: File, place: str, *, policy: str | None, as_json: bool) -> None:
    """Say what the disks of this node hold of an account, a container or an object."""
    cluster, path = cluster_of(home), path_of(place)
    wanted = [policy_of(cluster.policies, policy).index] if policy else [one.index for one in cluster.policies]
    try:
        found = objectstore.held_here(cluster, path, wanted)
    except (OSError, apsw.Error) as error:
        raise Trouble(f"A disk of this node cannot be read: {error}.") from error
    if as_json:
        click.echo(json.dumps(found, indent=1))
    elif not found:
        raise Trouble(f"The disks of this node hold nothing of {path}; `maldon object locate` says whose do.")
    else:
        click.echo("\n".join(line for device, facts in found for line in _lines(device, facts)))


def _lines(device: str, facts: dict[str, Any]) -> Iterator[str]:
    yield f"disk {device}"
    for name, value in facts.items():
        if isinstance(value, dict | list) and value:
            yield f"  {name}:"
            pairs = value.items() if isinstance(value, dict) else ((n, one) for n, one in enumerate(value))
            yield from (f"    {key}: {one}" for key, one in pairs)
        elif value not in (None, {}, []):
            yield f"  {name}: {value}"


@object_.command()
@HOME
@PLACE
@POLICY
@JSON
def locate(home: File, place: str, *, policy: str | None, as_json: bool) -> None:
    """Say where an account, a container or an object belongs, by the rings alone."""
    cluster, path = cluster_of(home), path_of(place)
    chosen = policy_of(cluster.policies, policy or "0")
    placing = placing_of(cluster)
    at = placing.object(path, chosen.index) if path.object else placing.book(path)
    handoffs = list(placing.handoffs(at))
    if as_json:
        rows = {"primaries": [_row(at, one) for one in at.primaries], "handoffs": [_row(at, one) for one in handoffs]}
        said = {"path": str(path), "partition": at.partition, "hash": at.ring.hashed(path).hex(), **rows}
        click.echo(json.dumps(said | ({"policy": chosen.name} if path.object else {}), indent=1))
        return
    noun = "object" if path.object else "container" if path.container else "account"
    ring = f"{at.ring.partitions} partitions, ring version {at.ring.version}"
    click.echo(f"{noun} {path}" + (f"  policy {chosen.index} {chosen.name}" if path.object else ""))
    click.echo(f"partition {at.partition} of {ring}, hash {at.ring.hashed(path).hex()}")
    for kind, devices in (("primary", at.primaries), ("handoff", handoffs)):
        for one in devices:
            stands = f"region {one.region} zone {one.zone}"
            click.echo(f"  {kind} {one.address or 'this node'}/{one.device}  {stands}")
    if any(one.address for one in at.primaries):
        click.echo("ask them what they hold:")
        for one in (*at.primaries, *handoffs):
            click.echo(f"  {_curl(home, chosen.index, path, one)}")


def _row(place: Place, device: RingDevice) -> dict[str, Any]:
    return {
        "address": device.address, "device": device.device, "region": device.region, "zone": device.zone,
        "weight": device.weight, "url": _url(place.policy, device),
    }  # fmt: skip


def _url(policy: int, device: RingDevice) -> str:
    return f"http://{device.address}/held/{device.device}/{policy}"


def _curl(home: File, policy: int, path: Path, device: RingDevice) -> str:
    """The key goes by standard input: what stands on a command line is everybody's to see."""
    import shlex
    from urllib.parse import quote

    secrets = shlex.quote(str(secrets_file(home)))
    key = f"""jq -r '"x-maldon-cluster-key: "+.cluster_key' {secrets}"""
    return f"{key} | curl -sH @- {shlex.quote(_url(policy, device) + quote(str(path)))}"


@object_.group()
def dispersion() -> None:
    """Measure whether copies are where they should be."""


COVERAGE = click.option(
    "--coverage", type=click.FloatRange(0.001, 100), default=1.0, show_default=True, help="Percent of the partitions."
)


@dispersion.command()
@HOME
@COVERAGE
@POLICY
def populate(home: File, *, coverage: float, policy: str | None) -> None:
    """Write containers and objects that lie in so many percent of the partitions of each ring."""
    from maldon.objectstore.proxy.core import core
    from maldon.objectstore.recon.dispersion import ACCOUNT, Dispersion

    cluster = _many(cluster_of(home))
    chosen = [policy_of(cluster.policies, policy)] if policy else list(cluster.policies)

    async def work() -> int:
        store = objectstore.proxy_app(cluster, None).store
        return await Dispersion(store.placing, coverage).populate(core(store), chosen)

    count = run(cluster, work)
    click.echo(f"{count} containers and objects of {ACCOUNT}, in {coverage:g} % of the partitions of each ring")


@dispersion.command()
@HOME
@COVERAGE
@POLICY
@JSON
def report(home: File, *, coverage: float, policy: str | None, as_json: bool) -> None:
    """Count the copies that are found where they should be; exit 1 when one is not."""
    from maldon.objectstore.recon.dispersion import Dispersion, Tally

    cluster = _many(cluster_of(home))
    chosen = [policy_of(cluster.policies, policy)] if policy else list(cluster.policies)

    async def work() -> dict[str, Tally]:
        dispersed = Dispersion(placing_of(cluster), coverage)
        found = {"container": await dispersed.report_containers()}
        for one in chosen:
            found[f"object-{one.index}" if one.index else "object"] = await dispersed.report_objects(one)
        return found

    tallies = run(cluster, work)
    if as_json:
        click.echo(json.dumps({name: _figures(tally) for name, tally in tallies.items()}, indent=1))
    else:
        click.echo("\n".join(line for name, tally in tallies.items() for line in _said(name, tally)))
    sys.exit(any(tally.copies_found < tally.copies_expected for tally in tallies.values()))


def _figures(tally: Any) -> dict[str, Any]:
    missing = {f"missing_{count}": number for count, number in sorted(tally.missing.items()) if count}
    return {
        "partitions": tally.partitions, "things": tally.things, "copies_expected": tally.copies_expected,
        "copies_found": tally.copies_found, "pct_found": round(tally.percent, 2), **missing,
        "unreached": dict(tally.unreached),
    }  # fmt: skip


def _said(name: str, tally: Any) -> Iterator[str]:
    yield (
        f"{name}: {tally.copies_found} of {tally.copies_expected} copies found ({tally.percent:.2f} %), "
        f"{tally.things} in as many of {tally.partitions} partitions"
    )
    for count, number in sorted(tally.missing.items()):
        if count:
            yield f"  {number} lack {count} {'copy' if count == 1 else 'copies'}"
    for place, number in sorted(tally.unreached.items()):
        yield f"  {place} could not be asked {number} times"


def _many(cluster: objectstore.Cluster) -> objectstore.Cluster:
    if not cluster.rings.addresses():
        raise Trouble("This store is one node without an address: everything is on its disk, and there is one copy.")
    return cluster


def run(cluster: objectstore.Cluster, work: Callable[[], Awaitable[T]]) -> T:
    """In a loop of its own; connections are closed. Raises Trouble for what the cluster refuses."""

    async def whole() -> T:
        try:
            return await work()
        finally:
            await cluster.nodes.close()

    try:
        return asyncio.run(whole())
    except CloudError as error:
        raise Trouble(f"{error.public or 'The cluster is not available.'} {error.internal}".strip()) from error


@object_.command()
@HOME
@click.option("--timeout", type=click.FloatRange(0.1, 600), default=5.0, show_default=True, help="Seconds for a node.")
@JSON
def recon(home: File, *, timeout: float, as_json: bool) -> None:
    """Ask every storage node of the rings how it is; exit 1 when there is something to see to."""
    import msgspec

    from maldon.runtime.object_recon import look_around, table

    cluster = cluster_of(home)
    nodes = run(cluster, lambda: look_around(cluster, timeout))
    click.echo(msgspec.json.format(msgspec.json.encode(nodes), indent=1) if as_json else "\n".join(table(nodes)))
    sys.exit(any(seen.troubles for seen in nodes.values()))


@object_.command()
@HOME
@click.argument("peer", metavar="HOST:PORT")
def join(home: File, peer: str) -> None:
    """Make this home a further node of the cluster of which HOST:PORT is a storage node."""
    from maldon.runtime.object_join import join as enter

    for line in enter(home, peer):
        click.echo(line)
