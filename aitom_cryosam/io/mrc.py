"""`read_volume` under its former name."""

from aitom_cryosam.volumes.mrc import read_volume

__all__ = ["read_volume"]
