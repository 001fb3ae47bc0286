"""From point prompts to 3D instance masks (paper section 2.1): walks across planes."""

from aitom_cryosam.propagator.crossplane import CrossPlanePropagator

__all__ = ["CrossPlanePropagator"]
