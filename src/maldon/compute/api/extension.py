"""Extensions: what of the API is here, by the names that such parts had before there were microversions."""

from maldon.kernel.errors import NotFound
from maldon.kernel.op import Op
from maldon.web.request import Reply, Request, json

NAMES = {
    "OS-DCF": ("DiskConfig", "How a server's disk is partitioned."),
    "OS-EXT-AZ": ("ExtendedAvailabilityZone", "Servers show their availability zone."),
    "OS-EXT-IPS": ("ExtendedIps", "Addresses show whether they are fixed or floating."),
    "OS-EXT-IPS-MAC": ("ExtendedIpsMac", "Addresses show their MAC address."),
    "OS-EXT-SRV-ATTR": ("ExtendedServerAttributes", "Servers show their host to operators."),
    "OS-EXT-STS": ("ExtendedStatus", "Servers show their task, VM and power state."),
    "OS-FLV-EXT-DATA": ("FlavorExtraData", "Flavors show their ephemeral disk."),
    "OS-SCH-HNT": ("SchedulerHints", "Hints on where to place a server."),
    "OS-SRV-USG": ("ServerUsage", "Servers show when they were launched and terminated."),
    "os-access-ips": ("AccessIPs", "Addresses by which a server is to be reached."),
    "os-aggregates": ("Aggregates", "Hosts that belong together."),
    "os-attach-interfaces": ("AttachInterfaces", "Interfaces of servers."),
    "os-availability-zone": ("AvailabilityZone", "Zones that hosts are in."),
    "os-config-drive": ("ConfigDrive", "Metadata on a drive of the server."),
    "os-console-output": ("ConsoleOutput", "A server's console log."),
    "os-flavor-access": ("FlavorAccess", "Private flavors."),
    "os-flavor-extra-specs": ("FlavorExtraSpecs", "What flavors ask of hosts."),
    "os-flavor-manage": ("FlavorManage", "Create and delete flavors."),
    "os-flavor-rxtx": ("FlavorRxtx", "Flavors show their bandwidth factor."),
    "os-hosts": ("Hosts", "Hosts and what is used of them."),
    "os-hypervisors": ("Hypervisors", "Hypervisors and what is used of them."),
    "os-hypervisor-status": ("HypervisorStatus", "Hypervisors show whether they are up."),
    "os-instance-actions": ("InstanceActions", "What was done to a server."),
    "os-keypairs": ("Keypairs", "Public keys for servers."),
    "os-lock-server": ("LockServer", "Locked servers are not changed."),
    "os-migrations": ("Migrations", "Servers on the move."),
    "os-multiple-create": ("MultipleCreate", "Many servers by one request."),
    "os-quota-class-sets": ("QuotaClasses", "What projects may have by default."),
    "os-quota-sets": ("Quotas", "What projects may have."),
    "os-security-groups": ("SecurityGroups", "Servers show their security groups."),
    "os-server-groups": ("ServerGroups", "Servers that are to be together or apart."),
    "os-server-sort-keys": ("ServerSortKeys", "Sorted lists of servers."),
    "os-server-start-stop": ("ServerStartStop", "Start and stop servers."),
    "os-services": ("Services", "What runs on hosts."),
    "os-simple-tenant-usage": ("SimpleTenantUsage", "What projects used."),
    "os-used-limits": ("UsedLimits", "Limits show what is used."),
    "os-user-data": ("UserData", "Data that a server reads when it boots."),
    "os-user-quotas": ("UserQuotas", "What users may have within a project."),
}
NAMESPACE, UPDATED = "http://docs.openstack.org/compute/ext/fake_xml", "2014-12-03T00:00:00Z"


def _extension(alias: str) -> dict[str, object]:
    name, description = NAMES[alias]
    return {
        "alias": alias,
        "name": name,
        "description": description,
        "links": [],
        "namespace": NAMESPACE,
        "updated": UPDATED,
    }


async def index(_request: Request, op: Op) -> Reply:
    op.may("os_compute_api:extensions")
    return json({"extensions": [_extension(alias) for alias in sorted(NAMES)]})


async def show(request: Request, op: Op) -> Reply:
    op.may("os_compute_api:extensions")
    alias = request.path["alias"]
    if alias not in NAMES:
        raise NotFound(f"There is no extension {alias}.")
    return json({"extension": _extension(alias)})
