"""All settings of a process: one TOML file, then the environment. None is required."""

import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from maldon.agents.node.agent import NodeSettings
from maldon.compute.settings import ComputeSettings, QuotaSettings
from maldon.identity.settings import IdentitySettings
from maldon.image.settings import ImageSettings
from maldon.kernel.settings import BadSetting, load, option
from maldon.network.settings import NetworkSettings
from maldon.objectstore import service as objectstore
from maldon.placement.settings import PlacementSettings
from maldon.runtime.home import Trouble


@dataclass(frozen=True, slots=True)
class CloudSettings:
    """What the whole process needs: the section [cloud]."""

    listen: str = option("127.0.0.1", "Address the APIs listen on.")
    port: int = option(9910, "Port all APIs share.")
    native_ports: bool = option(False, "Whether the APIs also listen on their native ports (5000, 8774, 9292, …).")
    public_url: str = option("", "Address clients use, when it is not http://<listen>:<port>.")
    database: str = option("", "SQLAlchemy URL of a PostgreSQL or MariaDB database; empty is SQLite in the home.")
    bus: str = option("", "URL of the message bus (amqp://…); empty is inside the process.")
    keyvalue: str = option("", "URL of the key-value store (redis://…); empty is inside the process.")
    region: str = option("RegionOne", "Name of the region in the catalog.")
    client_timeout_s: float = option(
        60.0, "Seconds a client may take to send the head of a request, or to take any of an answer."
    )
    log_format: str = option("human", "How log lines are written: human or json.")
    log_level: str = option("info", "Least important log lines that are written: debug, info, warning, error.")


@dataclass(frozen=True, slots=True)
class HostSettings:
    """This machine as a node of the cloud: the section [host]."""

    name: str = option("", "Name of this host in the cloud; empty is the machine's host name.")
    hypervisor: str = option("qemu", "Hypervisor driver.")
    switch: str = option("linux", "Switch driver.")
    simulated: int = option(1, "How many hosts a simulated cloud has.")
    external_cidr: str = option("", "Range of the external network; empty is the first free one from 172.24.4.0/24 on.")
    external_namespace: str = option("", "Network namespace that has the host's end of the external network.")
    guest_image: str = option(
        "", "Path of the guest image registered at the first start; empty looks where it is built."
    )


@dataclass(frozen=True, slots=True)
class Settings:
    """Every section."""

    cloud: CloudSettings
    host: HostSettings
    node: NodeSettings
    identity: IdentitySettings
    image: ImageSettings
    network: NetworkSettings
    placement: PlacementSettings
    compute: ComputeSettings
    quota: QuotaSettings
    object: objectstore.ObjectSettings
    object_parts: Mapping[type[Any], Any]


SECTIONS: dict[str, type[Any]] = {
    "cloud": CloudSettings,
    "host": HostSettings,
    "node": NodeSettings,
    "identity": IdentitySettings,
    "image": ImageSettings,
    "network": NetworkSettings,
    "placement": PlacementSettings,
    "compute": ComputeSettings,
    "quota": QuotaSettings,
    **objectstore.SECTIONS,
}


def read_settings(path: Path) -> Settings:
    """The settings of a file that need not exist, and of the environment. Raises Trouble naming the option."""
    try:
        tables = tomllib.loads(path.read_text()) if path.exists() else {}
    except tomllib.TOMLDecodeError as error:
        raise Trouble(f"{path} is no valid TOML: {error}.") from error
    unknown = sorted(tables.keys() - SECTIONS.keys())
    if unknown:
        raise Trouble(f"{path} has no section [{unknown[0]}]; there are {', '.join(SECTIONS)}.")
    try:
        read = {name: load(kind, name, tables.get(name, {}), os.environ) for name, kind in SECTIONS.items()}
    except BadSetting as error:
        raise Trouble(str(error)) from error
    parts = {type(read.pop(name)): value for name, value in list(read.items()) if name.startswith("object-")}
    return Settings(**read, object_parts=parts)
