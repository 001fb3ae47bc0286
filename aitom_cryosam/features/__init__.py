"""Features of all voxels (paper section 2.2): planes to tokens, tokens to similarities."""

from aitom_cryosam.features.query import Query
from aitom_cryosam.features.triplanar import TriplanarFeatures
from aitom_cryosam.features.view import View

__all__ = ["Query", "TriplanarFeatures", "View"]
