"""What users hand on, as a table: trusts, application credentials, access rules."""

from maldon.identity.api import access_rule, application_credential, trust
from maldon.identity.route_shapes import Methods

_TRUST = "/v3/OS-TRUST/trusts/{trust_id}"
_USER = "/v3/users/{user_id}"

ROUTES: dict[str, Methods] = {
    "/v3/OS-TRUST/trusts": {
        "GET": (trust.index, "identity:list_trusts"),
        "POST": (trust.create, "identity:create_trust"),
    },
    _TRUST: {
        "GET": (trust.show, "identity:get_trust"),
        "DELETE": (trust.remove, "identity:delete_trust"),
    },
    f"{_TRUST}/roles": {"GET": (trust.roles, "identity:list_roles_for_trust")},
    f"{_TRUST}/roles/{{role_id}}": {"GET": (trust.role, "identity:get_role_for_trust")},
    f"{_USER}/application_credentials": {
        "GET": (application_credential.index, "identity:list_application_credentials"),
        "POST": (application_credential.create, "identity:create_application_credential"),
    },
    f"{_USER}/application_credentials/{{application_credential_id}}": {
        "GET": (application_credential.show, "identity:get_application_credential"),
        "DELETE": (application_credential.remove, "identity:delete_application_credential"),
    },
    f"{_USER}/access_rules": {"GET": (access_rule.index, "identity:list_access_rules")},
    f"{_USER}/access_rules/{{access_rule_id}}": {
        "GET": (access_rule.show, "identity:get_access_rule"),
        "DELETE": (access_rule.remove, "identity:delete_access_rule"),
    },
}
