"""What is configured for a domain."""

from maldon.identity.policies.who import ADMIN, ADMIN_OR_SYSTEM_READER
from maldon.web.policy import Rule

RULES = (
    Rule("identity:create_domain_config", ADMIN, "Configure a domain."),
    Rule("identity:get_domain_config", ADMIN_OR_SYSTEM_READER, "Show a domain's configuration, never its secrets."),
    Rule("identity:update_domain_config", ADMIN, "Change a domain's configuration."),
    Rule("identity:delete_domain_config", ADMIN, "Delete a domain's configuration, or a part of it."),
    Rule("identity:get_domain_config_default", ADMIN_OR_SYSTEM_READER, "Show what holds where nothing is configured."),
)
