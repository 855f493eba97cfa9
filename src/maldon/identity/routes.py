"""The identity API as a table: path, method, handler, rule."""

from collections.abc import Iterable

from maldon.identity import (
    routes_credential,
    routes_delegation,
    routes_domain_config,
    routes_endpoint,
    routes_oauth1,
    routes_people,
    routes_places,
)
from maldon.identity.api import discovery, endpoint, gone, oauth2_token, region, revocation, service, token
from maldon.identity.policies import application_credential as application_credential_rules
from maldon.identity.policies import catalog as catalog_rules
from maldon.identity.policies import credential as credential_rules
from maldon.identity.policies import domain_config as domain_config_rules
from maldon.identity.policies import endpoint_filter as endpoint_filter_rules
from maldon.identity.policies import group as group_rules
from maldon.identity.policies import limit as limit_rules
from maldon.identity.policies import oauth1 as oauth1_rules
from maldon.identity.policies import policy as policy_rules
from maldon.identity.policies import project as project_rules
from maldon.identity.policies import role as role_rules
from maldon.identity.policies import token as token_rules
from maldon.identity.policies import trust as trust_rules
from maldon.identity.policies import user as user_rules
from maldon.identity.route_shapes import Methods, kept
from maldon.web.dialects import IDENTITY
from maldon.web.service import AUTHENTICATED, PUBLIC, Routes, Service


def _paths() -> Iterable[str]:
    """Every path of the API, for its description of itself."""
    return ROUTES


_ROUTES: dict[str, Methods] = {
    "/": {"GET": (discovery.versions(_paths), PUBLIC)},
    "/v3": {"GET": (discovery.version(_paths), PUBLIC)},
    "/v3/auth/tokens": {
        "POST": (token.create, PUBLIC),
        "GET": (token.show, "identity:validate_token"),
        "HEAD": (token.check, "identity:check_token"),
        "DELETE": (token.revoke, "identity:revoke_token"),
    },
    "/v3/auth/tokens/OS-PKI/revoked": {"GET": (gone.revocations, "identity:revocation_list")},
    "/v3/OS-SIMPLE-CERT/ca": {"GET": (gone.certificates, AUTHENTICATED)},
    "/v3/OS-SIMPLE-CERT/certificates": {"GET": (gone.certificates, AUTHENTICATED)},
    "/v3/OS-OAUTH2/token": {"POST": (oauth2_token.create, PUBLIC)},
    "/v3/OS-REVOKE/events": {"GET": (revocation.index, "identity:list_revoke_events")},
    "/v3/auth/catalog": {"GET": (token.catalog, "identity:get_auth_catalog")},
    "/v3/auth/projects": {"GET": (token.own_projects, "identity:get_auth_projects")},
    "/v3/auth/domains": {"GET": (token.own_domains, "identity:get_auth_domains")},
    "/v3/auth/system": {"GET": (token.own_system, "identity:get_auth_system")},
    "/v3/services": {
        "GET": (service.index, "identity:list_services"),
        "POST": (service.create, "identity:create_service"),
    },
    "/v3/services/{service_id}": kept("service", (service.show, service.update, service.remove)),
    "/v3/endpoints": {
        "GET": (endpoint.index, "identity:list_endpoints"),
        "POST": (endpoint.create, "identity:create_endpoint"),
    },
    "/v3/endpoints/{endpoint_id}": kept("endpoint", (endpoint.show, endpoint.update, endpoint.remove)),
    "/v3/regions": {"GET": (region.index, "identity:list_regions"), "POST": (region.create, "identity:create_region")},
    "/v3/regions/{region_id}": {
        **kept("region", (region.show, region.update, region.remove)),
        "PUT": (region.create, "identity:create_region"),
    },
    **routes_places.ROUTES,
    **routes_people.ROUTES,
    **routes_credential.ROUTES,
    **routes_delegation.ROUTES,
    **routes_endpoint.ROUTES,
    **routes_domain_config.ROUTES,
    **routes_oauth1.ROUTES,
}

# Whatever can be read can be asked for its headers alone.
ROUTES: Routes = {
    path: {"HEAD": methods["GET"], **methods} if "GET" in methods else methods for path, methods in _ROUTES.items()
}

SERVICE = Service(
    "identity",
    "/identity",
    5000,
    ROUTES,
    (
        *token_rules.RULES,
        *project_rules.RULES,
        *limit_rules.RULES,
        *user_rules.RULES,
        *group_rules.RULES,
        *role_rules.RULES,
        *catalog_rules.RULES,
        *credential_rules.RULES,
        *trust_rules.RULES,
        *application_credential_rules.RULES,
        *endpoint_filter_rules.RULES,
        *policy_rules.RULES,
        *domain_config_rules.RULES,
        *oauth1_rules.RULES,
    ),
    IDENTITY,
)
