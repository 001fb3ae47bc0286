"""Where in a tomogram picks may lie: masks, the sample's slab, the edges."""

from aitom_cryosam.regions.lamella import Slab, find_slab
from aitom_cryosam.regions.mask import RegionMask
from aitom_cryosam.regions.regions import RegionRules, Regions, located

__all__ = ["RegionMask", "RegionRules", "Regions", "Slab", "find_slab", "located"]
