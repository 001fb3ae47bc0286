"""`read_prompts` under its former name."""

from aitom_cryosam.points.prompts import read_prompts

__all__ = ["read_prompts"]
