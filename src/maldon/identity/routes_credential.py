"""Credentials and what is signed with them."""

from maldon.identity.api import credential, ec2_credential, signed_token
from maldon.identity.route_shapes import Methods, kept

ROUTES: dict[str, Methods] = {
    "/v3/credentials": {
        "GET": (credential.index, "identity:list_credentials"),
        "POST": (credential.create, "identity:create_credential"),
    },
    "/v3/credentials/{credential_id}": kept("credential", (credential.show, credential.update, credential.remove)),
    "/v3/users/{user_id}/credentials/OS-EC2": {
        "GET": (ec2_credential.index, "identity:ec2_list_credentials"),
        "POST": (ec2_credential.create, "identity:ec2_create_credential"),
    },
    "/v3/users/{user_id}/credentials/OS-EC2/{credential_id}": {
        "GET": (ec2_credential.show, "identity:ec2_get_credential"),
        "DELETE": (ec2_credential.remove, "identity:ec2_delete_credential"),
    },
    "/v3/ec2tokens": {"POST": (signed_token.ec2, "identity:ec2tokens_validate")},
    "/v3/s3tokens": {"POST": (signed_token.s3, "identity:s3tokens_validate")},
}
