"""OAuth 1.0a as a table. The requests of a consumer carry a signature instead of a token."""

from maldon.identity.api import oauth1_consumer, oauth1_token
from maldon.identity.route_shapes import Methods, kept
from maldon.web.service import PUBLIC

_ROOT = "/v3/OS-OAUTH1"
_TOKENS = "/v3/users/{user_id}/OS-OAUTH1/access_tokens"
_TOKEN = f"{_TOKENS}/{{access_token_id}}"

ROUTES: dict[str, Methods] = {
    f"{_ROOT}/consumers": {
        "GET": (oauth1_consumer.index, "identity:list_consumers"),
        "POST": (oauth1_consumer.create, "identity:create_consumer"),
    },
    f"{_ROOT}/consumers/{{consumer_id}}": kept(
        "consumer", (oauth1_consumer.show, oauth1_consumer.update, oauth1_consumer.remove)
    ),
    f"{_ROOT}/request_token": {"POST": (oauth1_token.ask, PUBLIC)},
    f"{_ROOT}/authorize/{{request_token_id}}": {"PUT": (oauth1_token.authorize, "identity:authorize_request_token")},
    f"{_ROOT}/access_token": {"POST": (oauth1_token.exchange, PUBLIC)},
    _TOKENS: {"GET": (oauth1_token.index, "identity:list_access_tokens")},
    _TOKEN: {
        "GET": (oauth1_token.show, "identity:get_access_token"),
        "DELETE": (oauth1_token.remove, "identity:delete_access_token"),
    },
    f"{_TOKEN}/roles": {"GET": (oauth1_token.roles, "identity:list_access_token_roles")},
    f"{_TOKEN}/roles/{{role_id}}": {"GET": (oauth1_token.role_of, "identity:get_access_token_role")},
}
