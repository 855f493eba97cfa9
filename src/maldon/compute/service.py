"""The door of the compute room: what its neighbours and the assembly of a process may use."""

from maldon.compute.loops.conclude_deletions import HOSTS_TOPIC, conclude_deletions
from maldon.compute.loops.purge_deleted_servers import purge_deleted_servers
from maldon.compute.sagas.create_server import CREATE_SERVER
from maldon.compute.sagas.delete_server import DELETE_SERVER
from maldon.compute.sagas.power_server import REBOOT_SERVER, START_SERVER, STOP_SERVER
from maldon.compute.settings import ComputeSettings
from maldon.compute.verbs.audit import audit
from maldon.compute.verbs.flavor import ensure_flavors
from maldon.compute.verbs.guest import desired_guests, host_topic
from maldon.compute.verbs.server import Usage, stuck, usage
from maldon.compute.verbs.wiring_board import WiringBoard
from maldon.kernel.op import Op
from maldon.work.loops import Loop

SAGAS = (CREATE_SERVER, DELETE_SERVER, START_SERVER, STOP_SERVER, REBOOT_SERVER)

__all__ = [
    "HOSTS_TOPIC",
    "SAGAS",
    "ComputeSettings",
    "Usage",
    "WiringBoard",
    "audit",
    "desired_guests",
    "ensure_flavors",
    "host_topic",
    "loops",
    "stuck",
    "usage",
]


def loops(op: Op) -> tuple[Loop, ...]:
    """What one process of the cloud runs again and again for this room."""
    return (
        Loop("conclude deletions", lambda: conclude_deletions(op), 10.0, (HOSTS_TOPIC,)),
        Loop("purge deleted servers", lambda: purge_deleted_servers(op), 3600.0),
    )
