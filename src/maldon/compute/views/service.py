"""Services: what runs on a host is one, "nova-compute", which is our node agent by the name that clients know."""

from typing import Any

from maldon.compute.plan.host_number import shown_id
from maldon.kernel.clock import micros_text
from maldon.placement.service import Host
from maldon.web.microversion import Version

BINARY = "nova-compute"


def full(host: Host, version: Version) -> dict[str, Any]:
    shown = {
        "id": shown_id(host.id, version),
        "binary": BINARY,
        "host": host.name,
        "zone": host.availability_zone,
        "status": "enabled" if host.enabled else "disabled",
        "state": "up" if host.alive else "down",
        "updated_at": micros_text(host.last_seen),
        "disabled_reason": host.disabled_reason,
    }
    return shown | {"forced_down": host.forced_down} if version >= (2, 11) else shown
