"""The laws of the design, held against observations made up by hypothesis: nothing is decoded, nothing embedded."""
