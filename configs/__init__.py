"""Data only: the default configuration, every key explained, and presets for common uses."""
