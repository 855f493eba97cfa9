"""OAuth 1.0a. Request tokens and access tokens are had for a signature, so no rule is asked about those."""

from maldon.identity.policies.catalog import kept
from maldon.identity.policies.who import ADMIN, ADMIN_OR_SYSTEM_READER
from maldon.web.policy import Rule

RULES = (
    *kept("consumer", ADMIN_OR_SYSTEM_READER),
    Rule("identity:authorize_request_token", ADMIN, "Let a consumer act for oneself on a project."),
    Rule("identity:list_access_tokens", ADMIN, "List the access tokens that a user has authorized."),
    Rule("identity:get_access_token", ADMIN, "Show an access token that a user has authorized."),
    Rule("identity:delete_access_token", ADMIN, "Delete an access token that a user has authorized."),
    Rule("identity:list_access_token_roles", ADMIN, "List the roles that an access token gives."),
    Rule("identity:get_access_token_role", ADMIN, "Show a role that an access token gives."),
)
