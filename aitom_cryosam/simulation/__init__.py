"""Simulated tomograms with known particles."""
