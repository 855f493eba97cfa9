"""The catalogue half of the compute API: flavors, keypairs, quotas, zones, services, hypervisors."""

from maldon.compute.api import flavor, flavor_extra_spec, keypair, limit, quota_class_set, quota_set
from maldon.compute.policies.flavor import RULES as FLAVOR_RULES
from maldon.compute.policies.keypair import RULES as KEYPAIR_RULES
from maldon.compute.policies.quota_set import RULES as QUOTA_RULES
from maldon.web.policy import Rule
from maldon.web.service import AUTHENTICATED, Routes

_P = "os_compute_api:"

CATALOGUE: Routes = {
    "/v2.1/flavors": {
        "GET": (flavor.index, AUTHENTICATED),
        "POST": (flavor.create, _P + "os-flavor-manage:create"),
    },
    "/v2.1/flavors/detail": {"GET": (flavor.detail, AUTHENTICATED)},
    "/v2.1/flavors/{id}": {
        "GET": (flavor.show, AUTHENTICATED),
        "PUT": (flavor.update, _P + "os-flavor-manage:update"),
        "DELETE": (flavor.delete, _P + "os-flavor-manage:delete"),
    },
    "/v2.1/flavors/{id}/action": {"POST": (flavor.act, _P + "os-flavor-access")},
    "/v2.1/flavors/{id}/os-flavor-access": {"GET": (flavor.access, _P + "os-flavor-access")},
    "/v2.1/flavors/{id}/os-extra_specs": {
        "GET": (flavor_extra_spec.index, _P + "os-flavor-extra-specs:index"),
        "POST": (flavor_extra_spec.merge, _P + "os-flavor-extra-specs:create"),
    },
    "/v2.1/flavors/{id}/os-extra_specs/{key}": {
        "GET": (flavor_extra_spec.show, _P + "os-flavor-extra-specs:show"),
        "PUT": (flavor_extra_spec.put, _P + "os-flavor-extra-specs:update"),
        "DELETE": (flavor_extra_spec.delete, _P + "os-flavor-extra-specs:delete"),
    },
    "/v2.1/os-keypairs": {
        "GET": (keypair.index, _P + "os-keypairs:index"),
        "POST": (keypair.create, _P + "os-keypairs:create"),
    },
    "/v2.1/os-keypairs/{name}": {
        "GET": (keypair.show, _P + "os-keypairs:show"),
        "DELETE": (keypair.delete, _P + "os-keypairs:delete"),
    },
    "/v2.1/limits": {"GET": (limit.show, _P + "limits")},
    "/v2.1/os-quota-sets/{id}": {
        "GET": (quota_set.show, _P + "os-quota-sets:show"),
        "PUT": (quota_set.update, _P + "os-quota-sets:update"),
        "DELETE": (quota_set.delete, _P + "os-quota-sets:delete"),
    },
    "/v2.1/os-quota-sets/{id}/defaults": {"GET": (quota_set.defaults, _P + "os-quota-sets:defaults")},
    "/v2.1/os-quota-sets/{id}/detail": {"GET": (quota_set.detail, _P + "os-quota-sets:detail")},
    "/v2.1/os-quota-class-sets/{id}": {
        "GET": (quota_class_set.show, _P + "os-quota-class-sets:show"),
        "PUT": (quota_class_set.update, _P + "os-quota-class-sets:update"),
    },
}

CATALOGUE_RULES: tuple[Rule, ...] = (*FLAVOR_RULES, *KEYPAIR_RULES, *QUOTA_RULES)
