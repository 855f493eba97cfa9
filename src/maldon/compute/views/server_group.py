"""Server groups as each microversion shows them."""

from collections.abc import Sequence
from typing import Any

from maldon.web.microversion import Version


def full(group: Any, members: Sequence[str], version: Version) -> dict[str, Any]:
    shown: dict[str, Any] = {"id": group.id, "name": group.name, "members": members}
    if version >= (2, 13):
        shown |= {"project_id": group.project_id, "user_id": group.user_id}
    if version < (2, 64):
        return shown | {"policies": [group.policy], "metadata": {}}
    most = group.max_server_per_host
    return shown | {"policy": group.policy, "rules": {} if most is None else {"max_server_per_host": most}}
