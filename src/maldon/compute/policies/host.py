"""Who may look at hosts and change what they are for: operators; anybody sees the zones."""

from maldon.web.policy import Rule

_P = "os_compute_api:"
_ADMIN = "role:admin"

RULES = (
    Rule(_P + "os-availability-zone:list", "", "List availability zones."),
    Rule(_P + "os-availability-zone:detail", _ADMIN, "List availability zones with their hosts."),
    Rule(_P + "os-services:list", _ADMIN, "List services."),
    Rule(_P + "os-services:update", _ADMIN, "Enable, disable or force down a service."),
    Rule(_P + "os-services:delete", _ADMIN, "Delete a service."),
    Rule(_P + "os-hypervisors:list", _ADMIN, "List hypervisors."),
    Rule(_P + "os-hypervisors:list-detail", _ADMIN, "List hypervisors with their details."),
    Rule(_P + "os-hypervisors:statistics", _ADMIN, "Show the totals over all hypervisors."),
    Rule(_P + "os-hypervisors:show", _ADMIN, "Show a hypervisor."),
    Rule(_P + "os-hypervisors:uptime", _ADMIN, "Show how long a hypervisor has been up."),
    Rule(_P + "os-hypervisors:search", _ADMIN, "Find hypervisors by name."),
    Rule(_P + "os-hypervisors:servers", _ADMIN, "List the servers on hypervisors found by name."),
    Rule(_P + "os-hosts:list", _ADMIN, "List hosts."),
    Rule(_P + "os-hosts:show", _ADMIN, "Show what a host has and what is used of it."),
    Rule(_P + "os-hosts:update", _ADMIN, "Enable or disable a host."),
    Rule(_P + "os-hosts:power", _ADMIN, "Start, shut down or reboot a host."),
    Rule(_P + "os-aggregates:index", _ADMIN, "List aggregates."),
    Rule(_P + "os-aggregates:create", _ADMIN, "Create an aggregate."),
    Rule(_P + "os-aggregates:show", _ADMIN, "Show an aggregate."),
    Rule(_P + "os-aggregates:update", _ADMIN, "Change an aggregate's name or zone."),
    Rule(_P + "os-aggregates:delete", _ADMIN, "Delete an aggregate."),
    Rule(_P + "os-aggregates:add_host", _ADMIN, "Put a host into an aggregate."),
    Rule(_P + "os-aggregates:remove_host", _ADMIN, "Take a host out of an aggregate."),
    Rule(_P + "os-aggregates:set_metadata", _ADMIN, "Change an aggregate's metadata."),
    Rule("compute:aggregates:images", _ADMIN, "Have images fetched by an aggregate's hosts ahead of use."),
    Rule(_P + "os-migrations:index", _ADMIN, "List migrations."),
    Rule(_P + "extensions", "", "List the parts of the API."),
)
