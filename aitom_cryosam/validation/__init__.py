"""What is wrong with a file of points, and what each program would do with it."""

from aitom_cryosam.validation.report import Report, check

__all__ = ["Report", "check"]
