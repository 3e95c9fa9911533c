"""What dedupd thinks. Imports store."""
