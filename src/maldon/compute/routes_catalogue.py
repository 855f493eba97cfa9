"""The catalogue half of the compute API: flavors, keypairs, quotas, server groups; zones, services, hypervisors."""

from maldon.compute.api import (
    aggregate,
    availability_zone,
    extension,
    flavor,
    flavor_extra_spec,
    host,
    hypervisor,
    keypair,
    limit,
    migration,
    quota_class_set,
    quota_set,
    server_group,
    service,
    simple_tenant_usage,
)
from maldon.compute.policies.flavor import RULES as FLAVOR_RULES
from maldon.compute.policies.host import RULES as HOST_RULES
from maldon.compute.policies.keypair import RULES as KEYPAIR_RULES
from maldon.compute.policies.quota_set import RULES as QUOTA_RULES
from maldon.compute.policies.server_group import RULES as SERVER_GROUP_RULES
from maldon.compute.policies.simple_tenant_usage import RULES as USAGE_RULES
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
    "/v2.1/os-server-groups": {
        "GET": (server_group.index, _P + "os-server-groups:index"),
        "POST": (server_group.create, _P + "os-server-groups:create"),
    },
    "/v2.1/os-server-groups/{id}": {
        "GET": (server_group.show, _P + "os-server-groups:show"),
        "DELETE": (server_group.delete, _P + "os-server-groups:delete"),
    },
    "/v2.1/os-simple-tenant-usage": {"GET": (simple_tenant_usage.index, _P + "os-simple-tenant-usage:list")},
    "/v2.1/os-simple-tenant-usage/{id}": {"GET": (simple_tenant_usage.show, _P + "os-simple-tenant-usage:show")},
    "/v2.1/os-availability-zone": {"GET": (availability_zone.index, _P + "os-availability-zone:list")},
    "/v2.1/os-availability-zone/detail": {"GET": (availability_zone.detail, _P + "os-availability-zone:detail")},
    "/v2.1/os-services": {"GET": (service.index, _P + "os-services:list")},
    "/v2.1/os-services/{id}": {
        "PUT": (service.update, _P + "os-services:update"),
        "DELETE": (service.delete, _P + "os-services:delete"),
    },
    "/v2.1/os-hypervisors": {"GET": (hypervisor.index, _P + "os-hypervisors:list")},
    "/v2.1/os-hypervisors/detail": {"GET": (hypervisor.detail, _P + "os-hypervisors:list-detail")},
    "/v2.1/os-hypervisors/statistics": {"GET": (hypervisor.statistics, _P + "os-hypervisors:statistics")},
    "/v2.1/os-hypervisors/{id}": {"GET": (hypervisor.show, _P + "os-hypervisors:show")},
    "/v2.1/os-hypervisors/{id}/uptime": {"GET": (hypervisor.uptime, _P + "os-hypervisors:uptime")},
    "/v2.1/os-hypervisors/{id}/search": {"GET": (hypervisor.search, _P + "os-hypervisors:search")},
    "/v2.1/os-hypervisors/{id}/servers": {"GET": (hypervisor.servers_on, _P + "os-hypervisors:servers")},
    "/v2.1/os-hosts": {"GET": (host.index, _P + "os-hosts:list")},
    "/v2.1/os-hosts/{name}": {"GET": (host.show, _P + "os-hosts:show"), "PUT": (host.update, _P + "os-hosts:update")},
    "/v2.1/os-hosts/{name}/startup": {"GET": (host.power, _P + "os-hosts:power")},
    "/v2.1/os-hosts/{name}/shutdown": {"GET": (host.power, _P + "os-hosts:power")},
    "/v2.1/os-hosts/{name}/reboot": {"GET": (host.power, _P + "os-hosts:power")},
    "/v2.1/os-aggregates": {
        "GET": (aggregate.index, _P + "os-aggregates:index"),
        "POST": (aggregate.create, _P + "os-aggregates:create"),
    },
    "/v2.1/os-aggregates/{id}": {
        "GET": (aggregate.show, _P + "os-aggregates:show"),
        "PUT": (aggregate.update, _P + "os-aggregates:update"),
        "DELETE": (aggregate.delete, _P + "os-aggregates:delete"),
    },
    "/v2.1/os-aggregates/{id}/action": {"POST": (aggregate.act, _P + "os-aggregates:show")},
    "/v2.1/os-aggregates/{id}/images": {"POST": (aggregate.cache_images, "compute:aggregates:images")},
    "/v2.1/os-migrations": {"GET": (migration.index, _P + "os-migrations:index")},
    "/v2.1/extensions": {"GET": (extension.index, _P + "extensions")},
    "/v2.1/extensions/{alias}": {"GET": (extension.show, _P + "extensions")},
}

CATALOGUE_RULES: tuple[Rule, ...] = (
    *FLAVOR_RULES,
    *KEYPAIR_RULES,
    *QUOTA_RULES,
    *SERVER_GROUP_RULES,
    *USAGE_RULES,
    *HOST_RULES,
)
