"""How fast this machine computes attention with us, and with others, side by side."""
