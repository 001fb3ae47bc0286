"""Observation: one thing that was seen in a tomogram or its clicks, and what to do about it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from aitom_cryosam.validation.finding import Severity


@dataclass(frozen=True)
class Observation:
    """One thing that is wrong or worth knowing.

    Attributes:
        severity: an ERROR keeps a run from working, a WARNING makes it doubtful.
        about: what was looked at: "header", "contrast", "axes", "margins", "wedge", "noise",
            "clicks", "needs", "preset".
        text: a sentence, without the tomogram's name.
        options: what a run should be told instead, by the option's name: {"contrast": "bright"}.
            Each door says it in its own words.
        remedy: what to do outside of this program, a clause; empty if there is nothing to do.
    """

    severity: Severity
    about: str
    text: str
    options: Mapping[str, str] = field(default_factory=dict)
    remedy: str = ""
