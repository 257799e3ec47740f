"""Slow, obvious versions of what the engine computes fast; tests hold the two together."""
