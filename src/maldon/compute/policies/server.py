"""Who may do what with servers: readers of the project look, members change, admins see hosts and other projects."""

from maldon.web.policy import Rule

READER = "role:admin or (role:reader and project_id:%(project_id)s)"
MEMBER = "role:admin or (role:member and project_id:%(project_id)s)"
ADMIN = "role:admin"
_P = "os_compute_api:"

RULES = (
    Rule(_P + "servers:index", READER, "List servers."),
    Rule(_P + "servers:detail", READER, "List servers with their details."),
    Rule(_P + "servers:index:get_all_tenants", ADMIN, "List the servers of all projects."),
    Rule(_P + "servers:detail:get_all_tenants", ADMIN, "List the servers of all projects with their details."),
    Rule(_P + "servers:allow_all_filters", ADMIN, "Use every filter in lists of servers."),
    Rule(_P + "servers:show", READER, "Show a server."),
    Rule(_P + "servers:show:host_status", ADMIN, "Show whether a server's host is up."),
    Rule(_P + "servers:create", MEMBER, "Create a server."),
    Rule(_P + "servers:create:forced_host", ADMIN, "Say on which host a server is to run."),
    Rule(_P + "servers:update", MEMBER, "Rename or describe a server."),
    Rule(_P + "servers:delete", MEMBER, "Delete a server."),
    Rule(_P + "servers:start", MEMBER, "Start a server."),
    Rule(_P + "servers:stop", MEMBER, "Stop a server."),
    Rule(_P + "servers:reboot", MEMBER, "Reboot a server."),
    Rule(_P + "os-admin-actions:reset_state", ADMIN, "Set the state of a server by hand."),
    Rule(_P + "os-lock-server:lock", MEMBER, "Lock a server."),
    Rule(_P + "os-lock-server:unlock", MEMBER, "Unlock a server that its owner locked."),
    Rule(_P + "os-lock-server:unlock:unlock_override", ADMIN, "Unlock a server whoever locked it."),
    Rule(_P + "os-console-output", MEMBER, "Read a server's console log."),
    Rule(_P + "os-extended-server-attributes", ADMIN, "See a server's host and other operators' fields."),
    Rule(_P + "os-security-groups:list", READER, "List a server's security groups."),
    Rule(_P + "os-security-groups:add", MEMBER, "Add a security group to a server."),
    Rule(_P + "os-security-groups:remove", MEMBER, "Remove a security group from a server."),
    Rule(_P + "server-metadata:index", READER, "List a server's metadata."),
    Rule(_P + "server-metadata:show", READER, "Show one item of a server's metadata."),
    Rule(_P + "server-metadata:create", MEMBER, "Add to a server's metadata."),
    Rule(_P + "server-metadata:update_all", MEMBER, "Replace a server's metadata."),
    Rule(_P + "server-metadata:update", MEMBER, "Set one item of a server's metadata."),
    Rule(_P + "server-metadata:delete", MEMBER, "Delete one item of a server's metadata."),
    Rule(_P + "os-server-tags:index", READER, "List a server's tags."),
    Rule(_P + "os-server-tags:show", READER, "See whether a server has a tag."),
    Rule(_P + "os-server-tags:update", MEMBER, "Add a tag to a server."),
    Rule(_P + "os-server-tags:update_all", MEMBER, "Replace a server's tags."),
    Rule(_P + "os-server-tags:delete", MEMBER, "Delete a tag of a server."),
    Rule(_P + "os-server-tags:delete_all", MEMBER, "Delete all tags of a server."),
    Rule(_P + "ips:index", READER, "List a server's addresses."),
    Rule(_P + "ips:show", READER, "List a server's addresses in one network."),
    Rule(_P + "os-attach-interfaces:list", READER, "List a server's interfaces."),
    Rule(_P + "os-attach-interfaces:show", READER, "Show an interface of a server."),
    Rule(_P + "os-attach-interfaces:create", MEMBER, "Attach an interface to a server."),
    Rule(_P + "os-attach-interfaces:delete", MEMBER, "Detach an interface from a server."),
    Rule(_P + "os-instance-actions:list", READER, "List what was done to a server."),
    Rule(_P + "os-instance-actions:show", READER, "Show one thing that was done to a server."),
    Rule(_P + "os-instance-actions:events", ADMIN, "See the traceback of the events of an action."),
    Rule(_P + "os-instance-actions:events:details", ADMIN, "See on which host the events of an action happened."),
    Rule(_P + "os-volumes-attachments:index", READER, "List the volumes attached to a server."),
    Rule(_P + "servers:not-offered", MEMBER, "Ask for an action that this cloud does not offer."),
    Rule("agent:report", "role:agent", "Speak for a host."),
)
