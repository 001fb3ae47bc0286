"""What is wrong with a file of points, and what each program would do with it."""

from aitom_cryosam.validation.checking import check
from aitom_cryosam.validation.report import Report

__all__ = ["Report", "check"]
