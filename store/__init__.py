"""What dedupd knows. Imports no other room."""
