"""Plane segmenters: point prompts to masks on a plane."""
