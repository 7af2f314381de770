"""Outputs of other people's implementations of attention, and what attncli must say to them."""
