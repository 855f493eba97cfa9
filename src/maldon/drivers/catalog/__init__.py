"""Where a catalog can be written down: in a file of templates."""
