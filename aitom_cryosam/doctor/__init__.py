"""What can be said of a tomogram and its clicks before a run: cheap checks, with remedies."""

from aitom_cryosam.doctor.examination import examine
from aitom_cryosam.doctor.observation import Observation

__all__ = ["Observation", "examine"]
