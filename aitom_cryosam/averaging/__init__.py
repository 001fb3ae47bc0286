"""Orientations and an average from picks: alignment under the missing wedge, and its uses."""
