"""OAuth 1.0a: programs (consumers) that users let act for them on a project, with some of their roles.

A request token is made by a consumer, authorized by a user and exchanged once for an access token. What signs requests
is sealed, for it is needed again; the verifier, which is only compared, is hashed. A nonce is good once.
"""

from sqlalchemy import Column, ForeignKey

from maldon.store.schema import Id, Json, LongText, Time, id_column, table

consumer = table(
    "oauth1_consumer",
    id_column(),
    Column("description", LongText),
    Column("sealed", LongText, nullable=False),
    Column("extra", Json),
)

request_token = table(
    "oauth1_request_token",
    id_column(),
    Column("consumer_id", Id, ForeignKey("oauth1_consumer.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("project_id", Id, ForeignKey("project.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("sealed", LongText, nullable=False),
    Column("expires_at", Time, nullable=False, index=True),
    Column("user_id", Id, ForeignKey("identity_user.id", ondelete="CASCADE"), index=True),
    Column("role_ids", Json),
    Column("verifier_hash", Id),
)

access_token = table(
    "oauth1_access_token",
    id_column(),
    Column("consumer_id", Id, ForeignKey("oauth1_consumer.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("project_id", Id, ForeignKey("project.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("sealed", LongText, nullable=False),
    Column("expires_at", Time, nullable=False),
    Column("user_id", Id, ForeignKey("identity_user.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("role_ids", Json, nullable=False),
)

used_nonce = table(
    "oauth1_used_nonce",
    id_column(),
    Column("expires_at", Time, nullable=False, index=True),
)
