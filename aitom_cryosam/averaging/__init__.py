"""Orientations and an average from picks: alignment under the missing wedge, and its uses."""

STEP, ITERATIONS = 24.0, 3
"""Degrees of the first search, and rounds of alignment, unless something else is asked for."""
