"""Trusts: a trustor lets a trustee act on a project with some of the trustor's roles.

A trust made with another one's token is redelegated: it hangs on that one and goes with it. `redelegation_count` says
how many further links may follow; `remaining_uses` how many more tokens may be had, NULL for any number.
"""

from sqlalchemy import BigInteger, Boolean, Column, ForeignKey

from maldon.store.schema import Id, Time, id_column, table

trust = table(
    "trust",
    id_column(),
    Column("trustor_user_id", Id, ForeignKey("identity_user.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("trustee_user_id", Id, ForeignKey("identity_user.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("project_id", Id, ForeignKey("project.id", ondelete="CASCADE"), index=True),
    Column("impersonation", Boolean, nullable=False),
    Column("expires_at", Time),
    Column("remaining_uses", BigInteger),
    Column("redelegation_count", BigInteger, nullable=False),
    Column("redelegated_trust_id", Id, ForeignKey("trust.id", ondelete="CASCADE"), index=True),
)

trust_role = table(
    "trust_role",
    Column("trust_id", Id, ForeignKey("trust.id", ondelete="CASCADE"), primary_key=True),
    Column("role_id", Id, ForeignKey("role.id", ondelete="CASCADE"), primary_key=True, index=True),
)
