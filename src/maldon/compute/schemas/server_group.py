"""Bodies about server groups."""

from typing import Annotated, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

from maldon.compute.schemas.number import Number, number
from maldon.compute.schemas.server import Name, plain_name
from maldon.kernel.errors import BadRequest
from maldon.web.microversion import Version

Policy = Literal["affinity", "anti-affinity", "soft-affinity", "soft-anti-affinity"]
SOFT_SINCE, ONE_POLICY_SINCE = (2, 15), (2, 64)


class Rules(Struct, forbid_unknown_fields=True):
    max_server_per_host: Number | UnsetType = UNSET


class GroupWanted(Struct, forbid_unknown_fields=True):
    name: Name
    policies: Annotated[list[Policy], Meta(min_length=1, max_length=1)] | UnsetType = UNSET
    policy: Policy | UnsetType = UNSET
    rules: Rules | UnsetType = UNSET


class CreateServerGroup(Struct, forbid_unknown_fields=True):
    server_group: GroupWanted


def create(body: CreateServerGroup, version: Version) -> tuple[str, str, int | None]:
    """Name, policy, and how many servers a host may have. Raises BadRequest."""
    wanted = body.server_group
    plain_name(wanted.name)
    policy = _policy(wanted, version)
    if policy.startswith("soft-") and version < SOFT_SINCE:
        raise BadRequest(f"Invalid input for field/attribute policies. {policy!r} is there since 2.15.")
    most = UNSET if wanted.rules is UNSET else wanted.rules.max_server_per_host
    if most is UNSET:
        return wanted.name, policy, None
    if policy != "anti-affinity":
        raise BadRequest("Only anti-affinity policy supports rules.")
    return wanted.name, policy, number(most, "max_server_per_host", 1)


def _policy(wanted: GroupWanted, version: Version) -> str:
    """The policy, said in the words of the version. Raises BadRequest."""
    if version >= ONE_POLICY_SINCE:
        if wanted.policy is not UNSET and wanted.policies is UNSET:
            return wanted.policy
        raise BadRequest("Invalid input for field/attribute server_group. 'policy' is required, not 'policies'.")
    if wanted.policies is not UNSET and wanted.policy is UNSET and wanted.rules is UNSET:
        return wanted.policies[0]
    raise BadRequest(
        "Invalid input for field/attribute server_group. 'policies' is required; 'policy' comes with 2.64."
    )
