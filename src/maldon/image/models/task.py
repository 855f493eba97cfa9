"""Imports that were done: what clients call the tasks of an image."""

from sqlalchemy import Column, ForeignKey, Index

from maldon.store.schema import Id, Json, Time, id_column, table

tasks = table(
    "image_task",
    id_column(),
    Column("image_id", Id, ForeignKey("image.id", ondelete="CASCADE"), nullable=False),
    Column("request_id", Id, nullable=False),
    Column("user_id", Id, nullable=False),
    Column("owner", Id),
    Column("request", Json, nullable=False),
    Column("created_at", Time, nullable=False),
    Index("ix_image_task_image_id", "image_id", "created_at"),
)
