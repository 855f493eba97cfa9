"""The routes of what is configured for a domain."""

from maldon.identity.api import domain_config
from maldon.web.service import Routes

_CHANGED = {
    "GET": (domain_config.show, "identity:get_domain_config"),
    "PATCH": (domain_config.update, "identity:update_domain_config"),
    "DELETE": (domain_config.remove, "identity:delete_domain_config"),
}
_DEFAULT = {"GET": (domain_config.default, "identity:get_domain_config_default")}

ROUTES: Routes = {
    "/v3/domains/config/default": _DEFAULT,
    "/v3/domains/config/{group}/default": _DEFAULT,
    "/v3/domains/config/{group}/{option}/default": _DEFAULT,
    "/v3/domains/{domain_id}/config": {
        **_CHANGED,
        "PUT": (domain_config.replace, "identity:create_domain_config"),
    },
    "/v3/domains/{domain_id}/config/{group}": _CHANGED,
    "/v3/domains/{domain_id}/config/{group}/{option}": _CHANGED,
}
