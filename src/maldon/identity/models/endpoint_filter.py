"""Which endpoints a project sees: those given to it one by one, and those of the endpoint groups given to it.

A project that was given nothing sees all. A group is what its filters say, at any time: no list of endpoints.
"""

from sqlalchemy import Column, ForeignKey

from maldon.store.schema import Id, Json, LongText, Name, id_column, table

endpoint_group = table(
    "endpoint_group",
    id_column(),
    Column("name", Name, nullable=False),
    Column("description", LongText),
    Column("filters", Json, nullable=False),
)

project_endpoint = table(
    "project_endpoint",
    Column("project_id", Id, ForeignKey("project.id", ondelete="CASCADE"), primary_key=True),
    Column("endpoint_id", Id, ForeignKey("catalog_endpoint.id", ondelete="CASCADE"), primary_key=True, index=True),
)

project_endpoint_group = table(
    "project_endpoint_group",
    Column("project_id", Id, ForeignKey("project.id", ondelete="CASCADE"), primary_key=True),
    Column("endpoint_group_id", Id, ForeignKey("endpoint_group.id", ondelete="CASCADE"), primary_key=True, index=True),
)
