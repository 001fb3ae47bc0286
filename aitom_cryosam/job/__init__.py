"""Job: everything that defines one run, as one value; and running it."""

from aitom_cryosam.job.job import Job
from aitom_cryosam.job.running import follow, pick, run, write

__all__ = ["Job", "follow", "pick", "run", "write"]
