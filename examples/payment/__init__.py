"""A payment that is made once, whatever dies in the middle of it."""
