"""What a guest may read of itself: the OpenStack and EC2 trees of the metadata service, and the same on a config drive.

Pure: a path, a guest's MetadataSpec and what its ports make of it in, bytes out. Directories answer with the list of
their entries, one per line, as the EC2 tree has it.
"""

import base64
from dataclasses import dataclass
from typing import Any

import msgspec

from maldon.ports.agent import MetadataSpec

OPENSTACK_VERSIONS = (
    "2012-08-10",
    "2013-04-04",
    "2013-10-17",
    "2015-10-15",
    "2016-06-30",
    "2016-10-06",
    "2017-02-22",
    "2018-08-27",
    "2020-10-14",
    "latest",
)
EC2_VERSIONS = (
    "1.0",
    "2007-01-19",
    "2007-03-01",
    "2007-08-29",
    "2007-10-10",
    "2007-12-15",
    "2008-02-01",
    "2008-09-01",
    "2009-04-04",
    "latest",
)


@dataclass(frozen=True, slots=True)
class Wired:
    """The addresses of a guest's ports, those that lead to them from outside, and their security groups' names."""

    fixed: tuple[str, ...] = ()
    floating: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()


def answer(path: str, guest: str, spec: MetadataSpec, wired: Wired) -> bytes | None:
    """The body at a path such as "/openstack/latest/meta_data.json"; None when there is nothing."""
    parts = [part for part in path.split("/") if part]
    if not parts:
        return "\n".join([*EC2_VERSIONS, "openstack"]).encode()
    if parts[0] == "openstack":
        return _openstack(parts[1:], guest, spec)
    if parts[0] in EC2_VERSIONS:
        return _ec2(parts[1:], guest, spec, wired)
    return None


def openstack_files(guest: str, spec: MetadataSpec) -> dict[str, bytes]:
    """The files of one version of the OpenStack tree, as a config drive holds them."""
    files = {
        "meta_data.json": msgspec.json.encode(_meta_data(guest, spec)),
        "vendor_data.json": b"{}",
        "vendor_data2.json": b"{}",
        "network_data.json": msgspec.json.encode({"links": [], "networks": [], "services": []}),
    }
    if spec.user_data:
        files["user_data"] = base64.b64decode(spec.user_data)
    return files


def _openstack(parts: list[str], guest: str, spec: MetadataSpec) -> bytes | None:
    if not parts:
        return "\n".join(OPENSTACK_VERSIONS).encode()
    if parts[0] not in OPENSTACK_VERSIONS:
        return None
    files = openstack_files(guest, spec)
    if len(parts) == 1:
        return "\n".join(sorted(files)).encode()
    return files.get(parts[1]) if len(parts) == 2 else None


def _meta_data(guest: str, spec: MetadataSpec) -> dict[str, Any]:
    document: dict[str, Any] = {
        "uuid": guest,
        "name": spec.name or spec.hostname,
        "hostname": spec.hostname,
        "project_id": spec.project_id,
        "availability_zone": spec.availability_zone,
        "launch_index": spec.launch_index,
        "meta": spec.properties,
        "public_keys": dict(spec.keys),
        "keys": [{"name": name, "type": "ssh", "data": key} for name, key in spec.keys],
        "devices": [_card(mac, tag) for mac, tag in spec.tags],
        "dedicated_cpus": [],
    }
    if spec.admin_pass:
        document["admin_pass"] = spec.admin_pass
    return document


def _card(mac: str, tag: str) -> dict[str, Any]:
    """A network card that its user gave a name; which slot it is in, only the driver knows."""
    return {"type": "nic", "bus": "none", "address": "none", "mac": mac, "tags": [tag]}


def _ec2(parts: list[str], guest: str, spec: MetadataSpec, wired: Wired) -> bytes | None:
    if not parts:
        return b"meta-data/\nuser-data" if spec.user_data else b"meta-data/"
    if parts == ["user-data"]:
        return base64.b64decode(spec.user_data) if spec.user_data else None
    if parts[0] != "meta-data":
        return None
    place: Any = _ec2_tree(guest, spec, wired)
    for part in parts[1:]:
        if not isinstance(place, dict):
            return None
        place = next((value for name, value in place.items() if name.partition("=")[0] == part), None)
        if place is None:
            return None
    if isinstance(place, dict):
        return "\n".join(_listed(name, value) for name, value in place.items()).encode()
    return str(place).encode()


def _listed(name: str, value: Any) -> str:
    return f"{name}/" if isinstance(value, dict) and "=" not in name else name


def _ec2_tree(guest: str, spec: MetadataSpec, wired: Wired) -> dict[str, Any]:
    short = f"i-{guest.replace('-', '')[:8]}"
    tree: dict[str, Any] = {
        "ami-id": f"ami-{spec.image_ref.replace('-', '')[:8] or '00000000'}",
        "ami-launch-index": spec.launch_index,
        "ami-manifest-path": "(none)",
        "block-device-mapping": {"ami": "vda", "root": "/dev/vda"},
        "hostname": spec.hostname,
        "instance-action": "none",
        "instance-id": short,
        "instance-type": spec.instance_type,
        "local-hostname": spec.hostname,
        "local-ipv4": next((address for address in wired.fixed if ":" not in address), ""),
        "placement": {"availability-zone": spec.availability_zone},
        "public-hostname": spec.hostname,
        "public-ipv4": wired.floating[0] if wired.floating else "",
        "reservation-id": spec.reservation_id,
        "security-groups": "\n".join(wired.groups),
    }
    if spec.keys:
        tree["public-keys"] = {f"{n}={name}": {"openssh-key": key} for n, (name, key) in enumerate(spec.keys)}
    return tree
