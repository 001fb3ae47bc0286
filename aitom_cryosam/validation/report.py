"""Report: what there is to say of a file of points."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from aitom_cryosam.validation.finding import Finding, Severity
from aitom_cryosam.validation.programs import Verdict


@dataclass(frozen=True)
class Report:
    """What there is to say of a file.

    Attributes:
        path: the file.
        content: what it holds, in a few words; empty if that cannot be told.
        findings: errors first.
        verdicts: what each program does with it.
    """

    path: Path
    content: str = ""
    findings: tuple[Finding, ...] = ()
    verdicts: tuple[Verdict, ...] = ()

    @property
    def valid(self) -> bool:
        """Whether there is no error."""
        return all(finding.severity is not Severity.ERROR for finding in self.findings)
