"""Images: the row is the image, whole, so that a list is one statement.

Properties and tags are written down a second time, as rows of their own, for lists to be filtered by them.

`file` names the bytes in the file store. It is set before the first byte is written: what no row names may be removed.
"""

from sqlalchemy import BigInteger, Boolean, Column, ForeignKey, Index, Integer, String

from maldon.store.schema import Id, Json, LongText, Name, Time, id_column, table

images = table(
    "image",
    id_column(),
    Column("name", Name),
    Column("status", String(16), nullable=False),
    Column("visibility", String(16), nullable=False),
    Column("owner", Name),
    Column("disk_format", String(16)),
    Column("container_format", String(16)),
    Column("min_disk", Integer, nullable=False),
    Column("min_ram", Integer, nullable=False),
    Column("protected", Boolean, nullable=False),
    Column("os_hidden", Boolean, nullable=False),
    Column("size", BigInteger),
    Column("virtual_size", BigInteger),
    Column("checksum", String(32)),
    Column("os_hash_value", String(128)),
    Column("properties", Json, nullable=False),
    Column("tags", Json, nullable=False),
    Column("file", Id, unique=True),
    Column("lease_until", Time, nullable=False),
    Column("created_at", Time, nullable=False),
    Column("updated_at", Time, nullable=False),
    Index("ix_image_created_at", "created_at", "id"),
    Index("ix_image_owner", "owner", "created_at"),
    Index("ix_image_status", "status"),
)

property_index = table(
    "image_property",
    Column("image_id", Id, ForeignKey("image.id", ondelete="CASCADE"), primary_key=True),
    Column("name", Name, primary_key=True),
    Column("value", LongText),
)

tag_index = table(
    "image_tag",
    Column("image_id", Id, ForeignKey("image.id", ondelete="CASCADE"), primary_key=True),
    Column("tag", Name, primary_key=True),
    Index("ix_image_tag_tag", "tag"),
)
