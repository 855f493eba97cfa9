"""What an operator may say about the account and container databases of a disk."""

from dataclasses import dataclass

from maldon.kernel.settings import option


@dataclass(frozen=True, slots=True)
class BookSettings:
    """Patience and sizes; what is small here costs time, what is large costs memory or disk."""

    open_books: int = option(128, "Account and container databases one process keeps open on a disk.")
    patience_s: float = option(10.0, "Seconds to wait for a database that another process is writing to.")
    checkpoint_pages: int = option(1000, "Pages of a write-ahead log after which it is moved into its database.")
    shard_rows: int = option(1_000_000, "Objects of a container from which on it is split into shards; 0 is never.")
    audit_rows_per_s: int = option(50_000, "Rows of account and container databases that are looked through a second.")
    reclaim_age_s: int = option(604_800, "Seconds after which what was deleted is forgotten.")
