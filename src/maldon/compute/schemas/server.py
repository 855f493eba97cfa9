"""Bodies about servers. A field that the microversion in force does not know is refused like any unknown one."""

import base64
import binascii
import ipaddress
import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from maldon.kernel.errors import BadRequest
from maldon.web.microversion import Version

Text = Annotated[str, Meta(max_length=255)]
Name = Annotated[str, Meta(min_length=1, max_length=255)]
Count = Annotated[int, Meta(ge=1, le=1000)] | Annotated[str, Meta(pattern="^[0-9]{1,4}$")]
Bool = Literal["true", "True", "1", "false", "False", "0", "on", "off", "yes", "no", "", "t", "f", 0, 1] | bool
Tag = Annotated[str, Meta(min_length=1, max_length=60, pattern="^[^,/]*$")]
Properties = dict[Annotated[str, Meta(min_length=1, max_length=255)], Text]
DiskConfig = Literal["AUTO", "MANUAL"]

_KEY = re.compile(r"[a-zA-Z0-9\-_:. ]{1,255}")
_HOST_LABEL = re.compile(r"[a-zA-Z0-9\-]{2,63}")
_FULL_HOSTNAME = re.compile(r"[a-zA-Z0-9\-.]{2,255}")
USER_DATA_MOST = 65535


class NetworkWanted(Struct, forbid_unknown_fields=True):
    """One NIC wanted: a port, or a network with perhaps an address in it."""

    uuid: Text | UnsetType = UNSET
    port: Text | UnsetType | None = UNSET
    fixed_ip: Text | UnsetType = UNSET
    tag: Tag | UnsetType = UNSET


class GroupName(Struct, forbid_unknown_fields=True):
    name: Name


class BlockDevice(Struct, forbid_unknown_fields=True):
    uuid: Text | None = None
    source_type: Literal["volume", "image", "snapshot", "blank"] = "volume"
    destination_type: Literal["volume", "local"] | None = None
    boot_index: int | str | None = None
    delete_on_termination: Bool = False
    volume_size: int | str | None = None
    device_name: Text | None = None
    guest_format: Text | None = None
    device_type: Text | None = None
    disk_bus: Text | None = None
    no_device: Any = None
    tag: Tag | UnsetType = UNSET
    volume_type: Text | UnsetType | None = UNSET


class ServerWanted(
    Struct,
    forbid_unknown_fields=True,
    rename={
        "image_ref": "imageRef",
        "flavor_ref": "flavorRef",
        "disk_config": "OS-DCF:diskConfig",
        "access_ip_v4": "accessIPv4",
        "access_ip_v6": "accessIPv6",
        "admin_pass": "adminPass",
        "hints": "os:scheduler_hints",
    },
):
    """What POST /servers holds under "server"."""

    name: Name
    flavor_ref: Annotated[str, Meta(min_length=1, max_length=255)] | int
    image_ref: Text | UnsetType = UNSET
    networks: list[NetworkWanted] | Literal["auto", "none"] | UnsetType = UNSET
    key_name: Name | UnsetType | None = UNSET
    security_groups: list[GroupName] | UnsetType = UNSET
    user_data: Annotated[str, Meta(max_length=USER_DATA_MOST)] | UnsetType | None = UNSET
    config_drive: Bool | UnsetType | None = UNSET
    metadata: Properties | UnsetType = UNSET
    min_count: Count | UnsetType = UNSET
    max_count: Count | UnsetType = UNSET
    availability_zone: Name | UnsetType | None = UNSET
    block_device_mapping_v2: list[BlockDevice] | UnsetType = UNSET
    block_device_mapping: list[dict[str, Any]] | UnsetType = UNSET
    return_reservation_id: Bool | UnsetType = UNSET
    disk_config: DiskConfig | UnsetType = UNSET
    access_ip_v4: Text | UnsetType = UNSET
    access_ip_v6: Text | UnsetType = UNSET
    admin_pass: Text | UnsetType = UNSET
    personality: list[dict[str, str]] | UnsetType = UNSET
    description: Text | UnsetType | None = UNSET
    tags: Annotated[list[Tag], Meta(max_length=50)] | UnsetType = UNSET
    trusted_image_certificates: list[Text] | UnsetType | None = UNSET
    host: Name | UnsetType = UNSET
    hypervisor_hostname: Name | UnsetType = UNSET
    hostname: Name | UnsetType = UNSET
    hints: dict[str, Any] | UnsetType = UNSET


class Hints(Struct):
    """Scheduler hints that mean something here; others are kept and shown to nobody."""

    same_host: list[str] | str = ()  # type: ignore[assignment]
    different_host: list[str] | str = ()  # type: ignore[assignment]
    group: str | None = None


class CreateServer(
    Struct,
    forbid_unknown_fields=True,
    rename={
        "hints": "os:scheduler_hints",
        "old_hints": "OS-SCH-HNT:scheduler_hints",
    },
):
    server: ServerWanted
    hints: dict[str, Any] | None = None
    old_hints: dict[str, Any] | None = None


class ServerChange(
    Struct,
    forbid_unknown_fields=True,
    rename={
        "disk_config": "OS-DCF:diskConfig",
        "access_ip_v4": "accessIPv4",
        "access_ip_v6": "accessIPv6",
    },
):
    """What PUT /servers/{id} holds under "server"."""

    name: Name | UnsetType = UNSET
    disk_config: DiskConfig | UnsetType = UNSET
    access_ip_v4: Text | UnsetType = UNSET
    access_ip_v6: Text | UnsetType = UNSET
    description: Text | UnsetType | None = UNSET
    hostname: Name | UnsetType = UNSET


class UpdateServer(Struct, forbid_unknown_fields=True):
    server: ServerChange


class Metadata(Struct, forbid_unknown_fields=True):
    metadata: Properties


class Meta_(Struct, forbid_unknown_fields=True):  # noqa: N801 - "Meta" is msgspec's
    meta: Annotated[Properties, Meta(min_length=1, max_length=1)]


class Tags(Struct, forbid_unknown_fields=True):
    tags: Annotated[list[Tag], Meta(max_length=50)]


SINCE: Mapping[str, Version] = {
    "description": (2, 19),
    "tags": (2, 52),
    "trusted_image_certificates": (2, 63),
    "host": (2, 74),
    "hypervisor_hostname": (2, 74),
    "hostname": (2, 90),
}
UNTIL: Mapping[str, Version] = {"personality": (2, 56)}


def known(body: Struct, version: Version) -> None:
    """Refuse the fields that this version does not know."""
    for field in body.__struct_fields__:
        late = version < SINCE.get(field, (0, 0)) or version > UNTIL.get(field, (9, 9))
        if late and getattr(body, field) is not UNSET:
            raise BadRequest(
                f"Invalid input for field/attribute server. Additional properties are not allowed ({field!r} was "
                "unexpected)"
            )


def create(body: CreateServer, version: Version) -> ServerWanted:
    """The server wanted, checked as far as its text goes. Raises BadRequest."""
    wanted = body.server
    known(wanted, version)
    plain_name(wanted.name)
    networks = wanted.networks
    if version >= (2, 37) and networks is UNSET:
        raise BadRequest("Invalid input for field/attribute server. 'networks' is a required property")
    if isinstance(networks, str) and version < (2, 37):
        raise BadRequest("Invalid input for field/attribute networks. Expected a list.")
    if networks is not UNSET and not isinstance(networks, str):
        for nic in networks:
            _check_nic(nic, version)
    if wanted.user_data:
        check_base64(wanted.user_data)
    if wanted.metadata is not UNSET:
        check_properties(wanted.metadata)
    usual_addresses(wanted)
    check_hostname(wanted.hostname, version)
    if wanted.tags is not UNSET and len(set(wanted.tags)) != len(wanted.tags):
        raise BadRequest("Invalid input for field/attribute tags. A tag is there twice.")
    if wanted.trusted_image_certificates is not UNSET and wanted.trusted_image_certificates:
        raise BadRequest("Trusted image certificates are not checked by this cloud; leave them out.")
    if body.hints or body.old_hints:
        wanted.hints = {**(body.old_hints or {}), **(body.hints or {})}
    return wanted


def plain_name(name: str) -> None:
    """Refuse a name that is blank, begins or ends with a space, or holds what cannot be printed."""
    if name != name.strip() or not name.isprintable():
        raise BadRequest(
            f"Invalid input for field/attribute name. Value: {name[:60]!r}. It must not be blank, begin or end with "
            "a space, or hold characters that cannot be printed."
        )


def _check_nic(nic: NetworkWanted, version: Version) -> None:
    if nic.tag is not UNSET and not ((2, 32) <= version < (2, 37) or version >= (2, 42)):
        raise BadRequest(
            "Invalid input for field/attribute networks. Additional properties are not allowed ('tag' was unexpected)"
        )
    if nic.uuid is UNSET and not nic.port:
        raise BadRequest("Invalid input for field/attribute networks. Either uuid or port is required.")
    if nic.fixed_ip is not UNSET:
        if nic.port:
            raise BadRequest("Specified Fixed IP cannot be used with port: the port has its addresses already.")
        address(nic.fixed_ip, "fixed_ip")


def address(text: str, field: str) -> str:
    """The IP address in its usual form. Raises BadRequest."""
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        raise BadRequest(f"Invalid input for field/attribute {field}. Value: {text[:60]!r} is no IP address.") from None


def usual_addresses(wanted: ServerWanted | ServerChange) -> None:
    """Bring the access addresses into their usual form; "" clears one. Raises BadRequest for the wrong family."""
    wanted.access_ip_v4 = _of_family(wanted.access_ip_v4, "accessIPv4", 4)
    wanted.access_ip_v6 = _of_family(wanted.access_ip_v6, "accessIPv6", 6)


def _of_family(text: str | UnsetType, field: str, family: int) -> str | UnsetType:
    if text is UNSET or not text:
        return text
    usual = address(text, field)
    if ipaddress.ip_address(usual).version != family:
        raise BadRequest(f"Invalid input for field/attribute {field}. {text[:60]!r} is no IPv{family} address.")
    return usual


def check_hostname(hostname: str | UnsetType, version: Version) -> None:
    """Refuse a host name that DNS would not take; dots are allowed since 2.94."""
    if hostname is UNSET:
        return
    form = _FULL_HOSTNAME if version >= (2, 94) else _HOST_LABEL
    labels = hostname.split(".")
    if not form.fullmatch(hostname) or any(
        not 0 < len(label) <= 63 or label[0] == "-" or label[-1] == "-" for label in labels
    ):
        raise BadRequest(f"Invalid input for field/attribute hostname. Value: {hostname[:60]!r} is no host name.")


def check_base64(text: str) -> None:
    """Refuse user data that is not Base64."""
    try:
        base64.b64decode(text.encode("ascii"), validate=True)
    except (UnicodeEncodeError, binascii.Error):
        raise BadRequest("User data is not valid Base64.") from None


def check_properties(properties: Mapping[str, str]) -> None:
    """Refuse metadata keys that the API does not allow."""
    for key in properties:
        if not _KEY.fullmatch(key):
            raise BadRequest(f"Invalid input for field/attribute metadata. {key[:60]!r} is no key.")


def truthful(value: Any) -> bool:
    """A boolean in one of the ways the clients write it; unset and null are false."""
    return value is not UNSET and str(value).lower() in {"true", "1", "on", "yes", "t"}


def hints(values: dict[str, Any] | UnsetType) -> Hints:
    """The hints that mean something here. Raises BadRequest."""
    try:
        return msgspec.convert({} if values is UNSET else values, Hints)
    except msgspec.ValidationError as error:
        raise BadRequest(f"Invalid input for field/attribute os:scheduler_hints. {error}") from None
