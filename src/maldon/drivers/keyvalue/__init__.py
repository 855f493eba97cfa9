"""Where small values are kept by key: in this process, or on a Redis server."""
