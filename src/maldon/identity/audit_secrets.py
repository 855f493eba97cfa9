"""What is wrong with secrets: no key opens one any more, or what it was made under is gone."""

from typing import Any

import msgspec

from maldon.identity.credential_keys import PLACES, CredentialKeys, sealed_rows
from maldon.identity.delegated import delegation_end
from maldon.identity.models.credential import credential
from maldon.identity.verbs import credential as credentials
from maldon.kernel.errors import Unauthorized
from maldon.kernel.op import Op, Session


async def secret_findings(op: Op, session: Session) -> list[str]:
    """Every one, as a sentence."""
    return [*await _sealed(op, session), *await _bound(op, session)]


async def _sealed(op: Op, session: Session) -> list[str]:
    """Secrets that no key opens any more."""
    reveal, findings = op.use(CredentialKeys).reveal, []
    for column in PLACES:
        lost = [row async for row in sealed_rows(session, column) if reveal(row.sealed) is None]
        findings += [f"{column.table.name} {' '.join(row[:-1])} is sealed with a key that is gone" for row in lost]
    return findings


async def _bound(op: Op, session: Session) -> list[str]:
    """EC2 credentials that were made under something that is gone."""
    findings, keys = [], op.use(CredentialKeys)
    async for row in sealed_rows(session, credential.c.sealed, credential.c.access_hash.is_not(None)):
        blob = keys.reveal(row.sealed)
        handed = None if blob is None else credentials.delegation(msgspec.json.decode(blob, type=dict[str, Any]))
        try:
            if handed is not None:
                await delegation_end(session, handed)
        except Unauthorized as error:
            findings.append(f"credential {row.id} is good for nothing: {error.internal}")
    return findings
