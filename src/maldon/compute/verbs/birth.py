"""From what a user asks for to rows: every reference looked up, every number held against a limit, then written.

All of it is one transaction; after it the servers exist, each with the operation that will bring it about.
"""

import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from msgspec import UNSET
from sqlalchemy import select

from maldon.compute.models.server import servers
from maldon.compute.plan.states import State, Task
from maldon.compute.sagas.create_server import CREATE_SERVER
from maldon.compute.schemas.server import Hints, ServerWanted, hints, truthful
from maldon.compute.verbs.flavor import Flavor, get_flavor
from maldon.compute.verbs.keypair import get_keypair
from maldon.compute.verbs.nics import check_nics, groups_named
from maldon.compute.verbs.quota_set import quota_limits
from maldon.compute.verbs.server import LIVE_ROW, room_for, write_servers
from maldon.compute.verbs.server_group import find_group, join_group
from maldon.compute.views.server import embedded
from maldon.image import service as image_room
from maldon.kernel.errors import BadRequest, Forbidden, NotFound, NotOffered, QuotaExceeded
from maldon.kernel.ids import is_uuid, new_id
from maldon.kernel.op import Op, Session
from maldon.placement import service as placement
from maldon.work.sagas import start

_ODD = re.compile(r"[^a-z0-9.\-]")
GIB = 1 << 30


@dataclass(frozen=True, slots=True)
class Born:
    """What was written: the servers' rows, the words for the answer."""

    rows: list[dict[str, Any]]
    groups: list[str]
    password: str
    reservation_id: str


@dataclass(frozen=True, slots=True)
class Where:
    """Where a server may be placed."""

    zone: str | None
    host: str | None
    among: list[str] | None
    avoid: list[str]
    group: Any


async def create_servers(session: Session, op: Op, wanted: ServerWanted) -> Born:
    """Write the servers and start their operations. Raises BadRequest, Forbidden, QuotaExceeded."""
    least, most = counts(wanted)
    flavor = await _flavor(session, op, wanted)
    image = await _image(session, op, wanted, flavor)
    key = await _key(session, op, wanted)
    where = await _where(session, op, wanted)
    nics = await check_nics(session, op, wanted.networks, most)
    names = [] if wanted.security_groups is UNSET else [group.name for group in wanted.security_groups]
    groups = await groups_named(session, op, names) if names or nics else []
    count = await room_for(session, op, most, least, flavor)
    if wanted.metadata is not UNSET:
        await _check_metadata_quota(session, op, wanted.metadata)
    password = wanted.admin_pass if wanted.admin_pass is not UNSET else secrets.token_urlsafe(9)
    common = _common(op, wanted, flavor, image, key) | {"admin_pass": password}
    rows = [common | _own(wanted, n, count) for n in range(count)]
    await write_servers(session, rows, () if wanted.tags is UNSET else wanted.tags)
    if where.group:
        await join_group(session, op, where.group, [row["id"] for row in rows])
    params: dict[str, Any] = {"vcpus": flavor.vcpus, "memory_mb": flavor.memory_mb, "disk_gb": _disk_gb(flavor)}
    params |= {"zone": where.zone, "host": where.host, "among": where.among, "avoid": where.avoid}
    params |= {"group": where.group.id if where.group else None}
    for row in rows:
        await start(
            session,
            op,
            CREATE_SERVER,
            row["id"],
            params | {"nics": nics, "groups": groups, "hostname": row["hostname"]},
        )
    return Born(rows, names or ["default"], password, common["reservation_id"])


def counts(wanted: ServerWanted) -> tuple[int, int]:
    """The least and the most servers wanted. Raises BadRequest."""
    least = 1 if wanted.min_count is UNSET else int(wanted.min_count)
    most = least if wanted.max_count is UNSET else int(wanted.max_count)
    for number, name in ((least, "min_count"), (most, "max_count")):
        if not 1 <= number <= 1000:
            raise BadRequest(f"Invalid input for field/attribute {name}. Value: {number}. It goes from 1 to 1000.")
    if wanted.min_count is not UNSET and least > most:
        raise BadRequest("min_count must be <= max_count")
    return least, most


async def _flavor(session: Session, op: Op, wanted: ServerWanted) -> Flavor:
    try:
        return await get_flavor(session, op, str(wanted.flavor_ref))
    except NotFound as error:
        raise BadRequest(error.public) from error


async def _image(session: Session, op: Op, wanted: ServerWanted, flavor: Flavor) -> image_room.Image | None:
    """The image the root disk is made from; it must fit. Raises BadRequest, NotOffered."""
    image_id = wanted.image_ref
    if wanted.block_device_mapping is not UNSET and wanted.block_device_mapping:
        raise NotOffered("Servers on volumes are not offered by this cloud; give an imageRef.")
    if wanted.block_device_mapping_v2 is not UNSET and wanted.block_device_mapping_v2:
        image_id = _root_of(wanted, image_id)
    if image_id is UNSET or not image_id:
        raise BadRequest("Invalid imageRef provided: a server needs an image.")
    image_id = image_id.rsplit("/", 1)[-1]
    if not is_uuid(image_id):
        raise BadRequest("Invalid imageRef provided.")
    try:
        image = await image_room.get_image(session, op, image_id)
    except NotFound as error:
        raise BadRequest(f"Can not find requested image {image_id}.") from error
    if image.status != "active":
        raise BadRequest(f"Image {image_id} is not active.")
    if image.min_ram and flavor.memory_mb < image.min_ram:
        raise BadRequest("Flavor's memory is too small for requested image.")
    if flavor.disk_gb and max(image.virtual_size or 0, image.min_disk * GIB) > flavor.disk_gb * GIB:
        raise BadRequest("Flavor's disk is too small for requested image.")
    return image


def _root_of(wanted: ServerWanted, image_id: Any) -> Any:
    """The image of the only block device that is offered: a local root disk made from an image."""
    devices = wanted.block_device_mapping_v2
    assert devices is not UNSET
    for device in devices:
        local = device.destination_type in {None, "local"}
        if device.source_type != "image" or not local or str(device.boot_index) != "0" or len(devices) > 1:
            raise NotOffered(
                "Volumes and further disks are not offered by this cloud; only a local root disk made from an image."
            )
        if device.volume_type is not UNSET and device.volume_type:
            raise BadRequest("volume_type is for volumes, not for a local disk.")
    if image_id is not UNSET and image_id and devices[0].uuid != image_id:
        raise BadRequest("Block Device Mapping is Invalid: the root disk is of another image than imageRef.")
    return devices[0].uuid


async def _key(session: Session, op: Op, wanted: ServerWanted) -> Any:
    if wanted.key_name is UNSET or not wanted.key_name:
        return None
    try:
        return await get_keypair(session, op.actor.user_id, wanted.key_name)
    except NotFound as error:
        raise BadRequest("Invalid key_name provided.") from error


async def _where(session: Session, op: Op, wanted: ServerWanted) -> Where:
    """The zone, the host ("zone:host" and `host` are for admins) and what the hints say."""
    zone = None if wanted.availability_zone is UNSET else wanted.availability_zone
    host = None
    if zone and ":" in zone:
        zone, host, *_ = zone.split(":")
    for forced in (wanted.host, wanted.hypervisor_hostname):
        if forced is not UNSET:
            host = forced
    zone, host = zone or None, host or None
    if host:
        op.may("os_compute_api:servers:create:forced_host")
    if zone or host:
        known = await placement.hosts(session, op)
        if zone and zone not in {h.availability_zone for h in known}:
            raise BadRequest("The requested availability zone is not available")
        if host and host not in {h.name for h in known}:
            raise BadRequest(f"Compute host {host} could not be found.")
    asked = hints(wanted.hints)
    among = await _hosts_of(session, op, asked.same_host) if asked.same_host else None
    avoid = await _hosts_of(session, op, asked.different_host)
    return Where(zone, host, among, avoid, await _group(session, op, asked))


async def _group(session: Session, op: Op, asked: Hints) -> Any:
    if not asked.group:
        return None
    try:
        return await find_group(session, op, asked.group, "os_compute_api:os-server-groups:show")
    except NotFound as error:
        raise BadRequest(error.public) from error


async def _hosts_of(session: Session, op: Op, ids: list[str] | str) -> list[str]:
    """The hosts of the project's servers named in a hint."""
    wanted = [ids] if isinstance(ids, str) else list(ids)
    if not wanted:
        return []
    mine = (servers.c.id.in_(wanted), LIVE_ROW, servers.c.project_id == op.actor.project_id)
    return [row.host for row in await session.all(select(servers.c.host).where(*mine)) if row.host]


async def _check_metadata_quota(session: Session, op: Op, properties: Mapping[str, str]) -> None:
    limit = (await quota_limits(session, op, op.actor.project_id or "")).get("metadata_items", -1)
    if 0 <= limit < len(properties):
        raise QuotaExceeded(f"Maximum number of metadata items exceeds {limit}")


def _disk_gb(flavor: Flavor) -> int:
    return flavor.disk_gb + flavor.ephemeral_gb


def _common(op: Op, wanted: ServerWanted, flavor: Flavor, image: Any, key: Any) -> dict[str, Any]:
    """What all servers of one request share."""
    now = op.clock.now()
    if not op.actor.project_id:
        raise Forbidden("A server belongs to a project; the token has none.")
    zone = None if wanted.availability_zone is UNSET else wanted.availability_zone
    return {
        "project_id": op.actor.project_id,
        "user_id": op.actor.user_id,
        "description": _text(wanted.description) if op.version >= (2, 19) else wanted.name,
        "state": State.BUILDING,
        "task": Task.SCHEDULING,
        "power": "none",
        "locked": False,
        "flavor_id": flavor.id,
        "flavor": embedded(flavor),
        "vcpus": flavor.vcpus,
        "memory_mb": flavor.memory_mb,
        "disk_gb": flavor.disk_gb,
        "image_id": image.id if image else None,
        "image": _image_snapshot(image),
        "pinned_availability_zone": zone.split(":")[0] or None if zone else None,
        "key_name": key.name if key else None,
        "key_data": key.public_key if key else None,
        "user_data": _text(wanted.user_data),
        "config_drive": truthful(wanted.config_drive),
        "disk_config": "MANUAL" if wanted.disk_config is UNSET else wanted.disk_config,
        "access_ip_v4": _text(wanted.access_ip_v4) or "",
        "access_ip_v6": _text(wanted.access_ip_v6) or "",
        "reservation_id": f"r-{secrets.token_hex(4)}",
        "properties": {} if wanted.metadata is UNSET else wanted.metadata,
        "created_at": now,
        "updated_at": now,
    }


def _text(value: Any) -> str | None:
    return None if value is UNSET else value


def _image_snapshot(image: Any) -> dict[str, Any] | None:
    if image is None:
        return None
    size, os_hash = image.size or 0, image.os_hash_value or ""
    return {"id": image.id, "disk_format": image.disk_format or "raw", "size": size, "os_hash": os_hash}


def _own(wanted: ServerWanted, n: int, count: int) -> dict[str, Any]:
    """What each server of a request has for itself."""
    server_id = new_id()
    name = wanted.name if count == 1 else f"{wanted.name}-{n + 1}"
    if wanted.hostname is UNSET:
        hostname = hostname_from(name, server_id)
    else:
        hostname = wanted.hostname if count == 1 else f"{wanted.hostname}-{n + 1}"
    return {"id": server_id, "name": name, "hostname": hostname, "launch_index": n}


def hostname_from(name: str, server_id: str) -> str:
    """A host name made of a server's name; of its id where nothing is left of it."""
    plain = _ODD.sub("", re.sub(r"[ _]", "-", name.lower())).strip(".-")[:63].strip(".-")
    return plain or f"server-{server_id}"
