"""Disk ↔ problem: the schema of a problem file, the files that hold tensors, and `commit`."""
