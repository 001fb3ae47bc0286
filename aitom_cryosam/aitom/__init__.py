"""The AITom plugin.

>>> from aitom_cryosam.aitom import register
>>> register()  # doctest: +SKIP
>>> from aitom.pick.cryosam import picking  # doctest: +SKIP
>>> peaks = picking("tomogram.mrc", [(120, 200, 64)])  # doctest: +SKIP

Volumes are AITom's arrays: axes x, y, z, the transpose of what an MRC file holds.
"""

from aitom_cryosam.aitom.aitom_pickers import DoGPicker, TemplateMatchingPicker
from aitom_cryosam.aitom.cryosam import (
    CryoSAMEncoder,
    CryoSAMMatcher,
    CryoSAMPicker,
    CryoSAMSegmenter,
    picking,
)
from aitom_cryosam.aitom.modules import aitom_module
from aitom_cryosam.aitom.registry import get_picker, register

__all__ = [
    "CryoSAMEncoder",
    "CryoSAMMatcher",
    "CryoSAMPicker",
    "CryoSAMSegmenter",
    "DoGPicker",
    "TemplateMatchingPicker",
    "aitom_module",
    "get_picker",
    "picking",
    "register",
]
