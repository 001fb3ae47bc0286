"""Plane encoders: planes to feature tokens."""
