"""What a new cloud has out of the box. Every start makes what is missing and changes nothing that is there.

Accounts and catalog, flavors, the image `maldon-guest`, the external network `public`, and for the project demo the
network `private` behind a router.
"""

import asyncio
import ipaddress
import os
import uuid
from dataclasses import replace
from pathlib import Path

from maldon.compute import service as compute
from maldon.identity import service as identity
from maldon.image import service as image
from maldon.kernel.op import Op
from maldon.network import service as network
from maldon.ports.catalog import BadCatalog, CatalogService
from maldon.runtime import objects
from maldon.runtime.home import Trouble
from maldon.runtime.process import MALDON, SERVICES, Process, driver

TYPES = {
    "identity": ("keystone", "/v3"),
    "image": ("glance", ""),
    "network": ("neutron", ""),
    "compute": ("nova", "/v2.1"),
    "placement": ("placement", ""),
}
GUEST_IMAGE_ID = str(uuid.uuid5(uuid.NAMESPACE_URL, "maldon-guest"))


async def make_accounts(process: Process) -> None:
    """Users, roles and the catalog, whose addresses follow the settings. Before any API answers."""
    passwords, cloud = process.home.secrets(), process.settings.cloud
    endpoints = {
        name: (TYPES[name][0], f"{process.url}{SERVICES[f'{name}-api'].prefix}{TYPES[name][1]}") for name in TYPES
    }
    endpoints["object-store"] = ("swift", f"{objects.url(process)}/v1/AUTH_$(project_id)s")
    wanted = identity.Bootstrap(
        admin_password=passwords["admin"],
        demo_password=passwords["demo"],
        node_password=passwords["node"],
        region=cloud.region,
        endpoints=endpoints,
        catalog=await asyncio.to_thread(_catalog, process.settings.identity),
    )
    await identity.bootstrap(process.op(), wanted)


def _catalog(settings: identity.IdentitySettings) -> list[CatalogService] | None:
    """The catalog that is kept elsewhere, if one is. Raises Trouble."""
    if settings.catalog == identity.OWN_CATALOG:
        return None
    try:
        services: list[CatalogService] = driver("catalog", settings.catalog)(settings.catalog_source).services()
    except BadCatalog as error:
        raise Trouble(str(error)) from error
    return services


async def make_resources(process: Process) -> None:
    """Flavors, image and networks."""
    state, demo, admin = process.home.state(), await _project(process, "demo"), await _project(process, "admin")
    op = process.op(replace(MALDON, project_id=admin))
    await compute.ensure_flavors(op)
    external = ipaddress.ip_network(state["external_cidr"])
    await network.ensure_public_network(
        op,
        name="public",
        cidr=str(external),
        gateway=str(external[1]),
        pool=(str(external[2]), str(external[-2])),
    )
    await network.ensure_private_network(op, demo, name="private", cidr="10.0.0.0/24", router_name="router")
    await _make_guest_image(process, op)


async def _project(process: Process, name: str) -> str:
    async with process.db.read() as session:
        return await identity.project_id(session, name)


async def _make_guest_image(process: Process, op: Op) -> None:
    path = guest_image(process.settings.host.guest_image)
    if path is None and process.home.state().get("simulated"):
        path = process.home / "stand-in.img"
        path.write_bytes(bytes(1 << 20))
    if path is not None:
        await image.import_file(
            op,
            path,
            image_id=GUEST_IMAGE_ID,
            name="maldon-guest",
            disk_format="qcow2" if path.suffix == ".qcow2" else "raw",
            properties={"os_distro": "debian", "hw_disk_bus": "virtio"},
            visibility="public",
        )


def guest_image(named: str) -> Path | None:
    """The guest image's file: the one named, or where it is built or installed."""
    places = (
        [Path(named)]
        if named
        else [
            Path(os.environ.get("MALDON_CACHE", ".cache")) / "maldon-guest.qcow2",
            Path(__file__).parents[3] / ".cache" / "maldon-guest.qcow2",
            Path("/usr/share/maldon/maldon-guest.qcow2"),
        ]
    )
    return next((place for place in places if place.is_file()), None)
