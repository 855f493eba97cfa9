"""Images: the row is the image; properties and tags are rows of their own so that lists can be filtered by them.

`file` names the bytes in the file store. It is set before the first byte is written: what no row names may be removed.
"""

from sqlalchemy import BigInteger, Boolean, Column, ForeignKey, Index, Integer, String

from maldon.store.schema import Id, LongText, Name, Time, id_column, table

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
    Column("file", Id, unique=True),
    Column("lease_until", Time, nullable=False),
    Column("created_at", Time, nullable=False),
    Column("updated_at", Time, nullable=False),
    Index("ix_image_created_at", "created_at", "id"),
    Index("ix_image_owner", "owner", "created_at"),
    Index("ix_image_status", "status"),
)

properties = table(
    "image_property",
    Column("image_id", Id, ForeignKey("image.id", ondelete="CASCADE"), primary_key=True),
    Column("name", Name, primary_key=True),
    Column("value", LongText),
)

tags = table(
    "image_tag",
    Column("image_id", Id, ForeignKey("image.id", ondelete="CASCADE"), primary_key=True),
    Column("tag", Name, primary_key=True),
    Index("ix_image_tag_tag", "tag"),
)
