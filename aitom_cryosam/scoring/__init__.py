"""Which proposals are particles, and how sure that is."""
