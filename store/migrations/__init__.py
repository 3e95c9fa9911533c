"""The schema, one step per file, each applied with its number in one transaction."""
