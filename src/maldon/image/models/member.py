"""Who an image is shared with: one row per image and project."""

from sqlalchemy import Column, ForeignKey, Index, String

from maldon.store.schema import Id, Name, Time, table

members = table(
    "image_member",
    Column("image_id", Id, ForeignKey("image.id", ondelete="CASCADE"), primary_key=True),
    Column("member_id", Name, primary_key=True),
    Column("status", String(16), nullable=False),
    Column("created_at", Time, nullable=False),
    Column("updated_at", Time, nullable=False),
    Index("ix_image_member_member_id", "member_id", "status"),
)
