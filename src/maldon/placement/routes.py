"""The placement API: read what hosts have and what is claimed of them.

Hosts report themselves and the cloud's own services claim through `service.py`, in the transaction of the use case. So
inventories and allocations are not written over HTTP; those calls are answered 501 with the reason.
"""

from maldon.placement.api import allocation, provider, vocabulary
from maldon.placement.policies.placement import RULES
from maldon.web.dialects import PLACEMENT
from maldon.web.microversion import Versions
from maldon.web.service import PUBLIC, Handler, Routes, Service

VERSIONS = Versions("placement", (1, 0), (1, 39))

_HOSTS = "Hosts report themselves; resource providers and their inventories are not changed by hand."
_CLAIMS = "Allocations follow the servers they belong to; they are not written by hand."


def _not(rule: str, why: str) -> tuple[Handler, str]:
    rule = f"placement:{rule}"
    return provider.refused(rule, why), rule


ROUTES: Routes = {
    "/": {"GET": (provider.versions, PUBLIC)},
    "/resource_providers": {
        "GET": (provider.index, "placement:resource_providers:list"),
        "POST": _not("resource_providers:create", _HOSTS),
    },
    "/resource_providers/{id}": {
        "GET": (provider.show, "placement:resource_providers:show"),
        "PUT": _not("resource_providers:update", _HOSTS),
        "DELETE": _not("resource_providers:delete", _HOSTS),
    },
    "/resource_providers/{id}/inventories": {
        "GET": (provider.inventories, "placement:resource_providers:inventories:list"),
        "POST": _not("resource_providers:inventories:update", _HOSTS),
        "PUT": _not("resource_providers:inventories:update", _HOSTS),
        "DELETE": _not("resource_providers:inventories:update", _HOSTS),
    },
    "/resource_providers/{id}/inventories/{name}": {
        "GET": (provider.inventory, "placement:resource_providers:inventories:list"),
        "PUT": _not("resource_providers:inventories:update", _HOSTS),
        "DELETE": _not("resource_providers:inventories:update", _HOSTS),
    },
    "/resource_providers/{id}/usages": {"GET": (provider.usages, "placement:resource_providers:usages")},
    "/resource_providers/{id}/aggregates": {
        "GET": (provider.aggregates, "placement:resource_providers:aggregates:list"),
        "PUT": _not("resource_providers:update", _HOSTS),
    },
    "/resource_providers/{id}/traits": {
        "GET": (provider.traits, "placement:resource_providers:traits:list"),
        "PUT": _not("resource_providers:update", _HOSTS),
        "DELETE": _not("resource_providers:update", _HOSTS),
    },
    "/resource_providers/{id}/allocations": {
        "GET": (provider.allocations, "placement:resource_providers:allocations:list")
    },
    "/allocations": {"POST": _not("allocations:update", _CLAIMS)},
    "/allocations/{id}": {
        "GET": (allocation.show, "placement:allocations:list"),
        "PUT": _not("allocations:update", _CLAIMS),
        "DELETE": _not("allocations:update", _CLAIMS),
    },
    "/allocation_candidates": {"GET": (allocation.candidates, "placement:allocation_candidates:list")},
    "/usages": {"GET": (allocation.usages, "placement:usages")},
    "/resource_classes": {"GET": (vocabulary.classes, "placement:resource_classes:list")},
    "/resource_classes/{name}": {"GET": (vocabulary.show_class, "placement:resource_classes:list")},
    "/traits": {"GET": (vocabulary.traits, "placement:traits:list")},
    "/traits/{name}": {"GET": (vocabulary.show_trait, "placement:traits:list")},
}

SERVICE = Service(
    name="placement",
    prefix="/placement",
    port=8778,
    routes=ROUTES,
    rules=RULES,
    dialect=PLACEMENT,
    versions=VERSIONS,
)
