"""The judge of other people's results: where they differ from ours, and which slip explains it."""
