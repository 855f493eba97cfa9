"""What a node agent and the control plane say to each other, over HTTP, as JSON of these structures.

    POST /agent/v1/hosts/{host}                         HostReport -> 204       at start and every ten seconds
    GET  /agent/v1/hosts/{host}/guests?since=R&wait=S   DesiredGuests           what changed after revision R
    POST /agent/v1/hosts/{host}/guests                  list[ObservedGuest] -> 204
    GET  /agent/v1/hosts/{host}/wiring?wait=S           Wiring with an ETag; 304 when If-None-Match still holds
    POST /agent/v1/hosts/{host}/wiring                  list[ObservedWire] -> 204
    POST /agent/v1/hosts/{host}/jobs/{job}              JobResult -> 204

The agent pulls; nobody calls it. `wait` is how many seconds (at most 30) the answer may be held back while there is
nothing new. Revisions of one host only grow, in the order of commit, so `since` misses nothing; 0 asks for everything.
"""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from maldon.ports.hypervisor import Amount, Capacity, GuestSpec, Power

Name = Annotated[str, Meta(max_length=255)]
Short = Annotated[str, Meta(max_length=64)]
Revision = Annotated[int, Meta(ge=0, le=2**62)]


class HostReport(msgspec.Struct, frozen=True):
    """A host says it lives, and what it has. `tunnel_ip` is where other nodes send VXLAN to."""

    capacity: Capacity
    hypervisor_features: tuple[Name, ...] = ()
    switch_features: tuple[Name, ...] = ()
    tunnel_ip: Short = "127.0.0.1"
    version: Short = ""


class MetadataSpec(msgspec.Struct, frozen=True):
    """What a guest may learn of itself; what its ports make of it is in the wiring. `tags` are (MAC, tag) pairs."""

    hostname: str
    project_id: str
    availability_zone: str
    name: str = ""
    launch_index: int = 0
    reservation_id: str = ""
    instance_type: str = ""
    image_ref: str = ""
    keys: tuple[tuple[str, str], ...] = ()
    properties: dict[str, str] = {}
    user_data: str | None = None
    admin_pass: str | None = None
    tags: tuple[tuple[str, str], ...] = ()


class Job(msgspec.Struct, frozen=True):
    """Something to be done once and answered: `console-log` with {"limit": bytes}."""

    id: str
    kind: Literal["console-log"]
    params: dict[str, int | str] = {}


class DesiredGuest(msgspec.Struct, frozen=True):
    """What the host must bring about. No `spec` means: remove it."""

    id: str
    revision: int
    spec: GuestSpec | None
    metadata: MetadataSpec | None = None
    jobs: tuple[Job, ...] = ()


class DesiredGuests(msgspec.Struct, frozen=True):
    """Everything that changed after the revision asked for; `revision` is the next `since`."""

    revision: int
    guests: tuple[DesiredGuest, ...] = ()


class ObservedGuest(msgspec.Struct, frozen=True):
    """What became of a desired guest. `power` "absent" closes a removal; `error` is a sentence, and final."""

    id: Name
    revision: Revision
    power: Power | Literal["absent", "vanished"]
    hard_boots: Amount = 0
    soft_boots: Amount = 0
    error: str | None = None


class ObservedWire(msgspec.Struct, frozen=True):
    """A port (or router) of this node is wired (`up`) or is not."""

    kind: Literal["port", "router", "network"]
    id: Name
    up: bool


class JobResult(msgspec.Struct, frozen=True):
    """A job's answer; `output` is text."""

    output: str = ""
    error: str | None = None
