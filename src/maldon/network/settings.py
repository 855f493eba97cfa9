"""What an operator may choose about networks."""

from dataclasses import dataclass

from maldon.kernel.op import Op
from maldon.kernel.settings import option


@dataclass(frozen=True, slots=True)
class NetworkSettings:
    """The section [network]."""

    mtu: int = option(1450, "Largest packet of a project network: what the wires carry less 50 bytes for VXLAN.")
    external_mtu: int = option(1500, "Largest packet of an external network.")
    quota_network: int = option(100, "Networks a project may have; -1 is no limit.")
    quota_subnet: int = option(100, "Subnets a project may have; -1 is no limit.")
    quota_subnetpool: int = option(-1, "Subnet pools a project may have; -1 is no limit.")
    quota_port: int = option(500, "Ports a project may have; -1 is no limit.")
    quota_router: int = option(10, "Routers a project may have; -1 is no limit.")
    quota_floatingip: int = option(50, "Floating IPs a project may have; -1 is no limit.")
    quota_security_group: int = option(10, "Security groups a project may have; -1 is no limit.")
    quota_security_group_rule: int = option(100, "Security group rules a project may have; -1 is no limit.")


_DEFAULT = NetworkSettings()


def settings(op: Op) -> NetworkSettings:
    """The settings in force; the defaults where the process has none."""
    found: NetworkSettings = op.kit.get(NetworkSettings, _DEFAULT)
    return found
