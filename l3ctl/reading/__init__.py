"""Strict reading of what people write: every value with its place, every fault with its mend."""
