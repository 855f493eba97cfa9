"""Policy documents that are kept here for other services, and which endpoint each of them is for.

An association is of an endpoint, of a service in a region, or of a service anywhere. Its id is made of those, so that
each of them has one policy at most.
"""

from sqlalchemy import Column, ForeignKey

from maldon.store.schema import Id, Json, Name, id_column, table

policy = table(
    "policy",
    id_column(),
    Column("type", Name, nullable=False),
    Column("blob", Json, nullable=False),
    Column("extra", Json),
)

policy_association = table(
    "policy_association",
    id_column(),
    Column("policy_id", Id, ForeignKey("policy.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("endpoint_id", Id, ForeignKey("catalog_endpoint.id", ondelete="CASCADE"), index=True),
    Column("service_id", Id, ForeignKey("catalog_service.id", ondelete="CASCADE"), index=True),
    Column("region_id", Name, ForeignKey("region.id", ondelete="CASCADE"), index=True),
)
