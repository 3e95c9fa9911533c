"""The network that ships with dedupd: definition, weights and card."""
