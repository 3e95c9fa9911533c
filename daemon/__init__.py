"""What dedupd does. Imports pipeline and store."""
