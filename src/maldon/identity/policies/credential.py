"""Credentials, and tokens for what was signed with one."""

from maldon.identity.policies.who import ADMIN, ADMIN_OR_SYSTEM_READER, SERVICE
from maldon.web.policy import Rule

_OWNER = "user_id:%(target.credential.user_id)s"
_LOOK, _CHANGE = f"{ADMIN_OR_SYSTEM_READER} or {_OWNER}", f"{ADMIN} or {_OWNER}"
_CHECKER = f"{ADMIN} or {SERVICE}"

RULES = (
    Rule("identity:get_credential", _LOOK, "Show a credential."),
    Rule("identity:list_credentials", _LOOK, "List credentials; whoever may not sees those of their own."),
    Rule("identity:create_credential", _CHANGE, "Create a credential."),
    Rule("identity:update_credential", _CHANGE, "Change what a credential holds."),
    Rule("identity:delete_credential", _CHANGE, "Delete a credential."),
    Rule("identity:ec2_get_credential", _LOOK, "Show a user's EC2 credential."),
    Rule("identity:ec2_list_credentials", _LOOK, "List a user's EC2 credentials."),
    Rule("identity:ec2_create_credential", _CHANGE, "Create an EC2 credential for a user."),
    Rule("identity:ec2_delete_credential", _CHANGE, "Delete a user's EC2 credential."),
    Rule("identity:ec2tokens_validate", _CHECKER, "Get the token that a signed EC2 request stands for."),
    Rule("identity:s3tokens_validate", _CHECKER, "Get the token that a signed S3 request stands for."),
)
