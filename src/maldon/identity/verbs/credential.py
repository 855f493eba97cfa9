"""Credentials as rows with a secret in them: made, changed, opened, found by what a signature names."""

import hashlib
from collections.abc import Mapping
from typing import Any

import msgspec
from sqlalchemy import select

from maldon.identity import rows
from maldon.identity.credential_keys import CredentialKeys
from maldon.identity.models.credential import credential
from maldon.identity.models.project import project
from maldon.identity.models.user import user
from maldon.identity.token import Delegation, DelegationKind
from maldon.identity.verifier import Verified
from maldon.kernel.errors import BadRequest, Forbidden, NotFound
from maldon.kernel.ids import new_hex_id
from maldon.kernel.op import Op, Session

EC2 = "ec2"
# Under which delegation an EC2 credential was made, by the name in its blob: it gives no more than that did.
BOUND: dict[str, DelegationKind] = {
    "trust_id": "trust",
    "app_cred_id": "application_credential",
    "access_token_id": "oauth1",
}


def access_hash(access: str) -> str:
    """What an access key is looked up by."""
    return hashlib.sha256(access.encode()).hexdigest()


def fields(blob: str) -> dict[str, Any]:
    """What the blob of an EC2 credential holds. Raises BadRequest."""
    try:
        found = msgspec.json.decode(blob, type=dict[str, Any])
    except (msgspec.DecodeError, RecursionError) as error:
        raise BadRequest("The blob of a credential of type ec2 is a JSON object with access and secret.") from error
    for name in ("access", "secret"):
        if not isinstance(found.get(name), str) or not 0 < len(found[name]) <= 255:
            raise BadRequest(f"The blob of a credential of type ec2 must hold {name}, a text of 1 to 255 characters.")
    return found


def bound(own: Verified, user_id: str, project_id: str | None) -> dict[str, str]:
    """What an EC2 credential made with this token must hold beside its keys. Raises Forbidden."""
    handed = own.token.delegation
    if handed is None:
        return {}
    if (user_id, project_id) != (own.token.user_id, own.token.scope.id):
        raise Forbidden("With what was delegated to you, you make EC2 credentials for that user and project only.")
    return {name: handed.id for name, kind in BOUND.items() if kind == handed.kind}


def delegation(blob: Mapping[str, Any]) -> Delegation | None:
    """What an EC2 credential was made under."""
    return next((Delegation(kind, blob[name]) for name, kind in BOUND.items() if blob.get(name)), None)


async def make(op: Op, session: Session, values: Mapping[str, Any]) -> Any:
    """A credential of a user who exists, for a project that exists or none. Raises BadRequest, Duplicate."""
    if values["type"] == EC2 and values.get("project_id") is None:
        raise BadRequest("A credential of type ec2 needs a project_id.")
    secret = _secret(op, values["type"], values["blob"])
    await _there(session, values["user_id"], values.get("project_id"))
    kept = {name: value for name, value in values.items() if name != "blob"}
    made = {"id": secret["access_hash"] or new_hex_id(), **kept, **secret}
    return await rows.add(session, credential, "credential", made)


async def change(op: Op, session: Session, row: Any, wanted: Mapping[str, Any]) -> Any:
    """The row with another blob; whose it is, for which project, of what type stays. Raises BadRequest, Duplicate."""
    for name in ("user_id", "project_id", "type"):
        if wanted.get(name, getattr(row, name)) != getattr(row, name):
            raise BadRequest(f"The {name} of a credential cannot be changed. Delete it and make another.")
    values = {"extra": wanted["extra"]}
    if "blob" in wanted:
        values |= _secret(op, row.type, wanted["blob"])
        if row.type == EC2:
            _stay_bound(op.use(CredentialKeys).reveal(row.sealed), wanted["blob"])
    return await rows.change(session, credential, "credential", row.id, values)


def _stay_bound(old: str | None, new: str) -> None:
    """A credential of a trust or of an application credential does not become one of its user's own."""
    before, after = {} if old is None else fields(old), fields(new)
    for name in BOUND:
        if before.get(name) != after.get(name):
            raise BadRequest(f"{name} can not be updated for credential.")


def _secret(op: Op, kind: str, blob: str) -> dict[str, Any]:
    """The columns that a blob fills."""
    by_hash = access_hash(fields(blob)["access"]) if kind == EC2 else None
    return {"sealed": op.use(CredentialKeys).hide(blob), "access_hash": by_hash}


async def _there(session: Session, user_id: str, project_id: str | None) -> None:
    try:
        await rows.found(session, user, "user", user_id)
        if project_id is not None:
            await rows.found(session, project, "project", project_id)
    except NotFound as error:
        raise BadRequest(error.public) from error


async def by_access(session: Session, access: str) -> Any:
    """The EC2 credential's row, or None."""
    return await session.first(select(credential).where(credential.c.access_hash == access_hash(access)))


async def blobs_of(op: Op, session: Session, user_id: str, kind: str) -> list[str]:
    """What a user's credentials of a kind hold, those left out whose key is gone. None takes as long as one."""
    mine = select(credential.c.sealed).where(credential.c.user_id == user_id, credential.c.type == kind)
    keys, found = op.use(CredentialKeys), [row.sealed for row in await session.all(mine)]
    return [blob for sealed in found or [None] if (blob := keys.reveal(sealed)) is not None]
