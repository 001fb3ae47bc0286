"""Curation: what a person decided of proposals, on top of what a run decided."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from aitom_cryosam.picks import BELOW_CUT, Picks
from aitom_cryosam.scoring.rejects import BY_HAND
from aitom_cryosam.scoring.suggestions import doubt, rows_of

COLUMN = "cryosamCuration"
"""Of the STAR files: who accepted or rejected a proposal; "none" where the run decided."""


class Curation:
    """Decisions on proposals, a cut, and the way back.

    Args:
        proposals: of a run, with its verdict.
        who: the name that decisions are recorded under.
    """

    def __init__(self, proposals: Picks, who: str) -> None:
        self.proposals = proposals
        self.who = who
        self.cut: float | None = None
        self._decided: dict[int, bool] = {}
        self._before: list[tuple[int, bool | None]] = []
        self._movable = proposals.cut_decides & np.isfinite(proposals.scores)

    @property
    def kept(self) -> np.ndarray:
        """(n,) bool: by the person where they decided, else by the cut, else by the run."""
        kept = self.proposals.kept.copy()
        if self.cut is not None:
            kept = np.where(self._movable, self.proposals.scores >= self.cut, kept)
        for row, accepted in self._decided.items():
            kept[row] = accepted
        return kept

    @property
    def most(self) -> int:
        """How many proposals a cut can make picks."""
        return int(self._movable.sum())

    def cut_after(self, number: int) -> None:
        """Cut below the best `number` of them, and those of the same score as the last."""
        falling = np.sort(self.proposals.scores[self._movable])[::-1]
        self.cut = float(falling[number - 1] if number else np.nextafter(falling[0], np.inf))

    def decide(self, row: int, accepted: bool) -> None:
        """Accept or reject a proposal."""
        self._before.append((row, self._decided.get(row)))
        self._decided[row] = accepted

    def undo(self) -> int | None:
        """Take the last decision back; the row that it was on, or None if there is none."""
        if not self._before:
            return None
        row, before = self._before.pop()
        if before is None:
            del self._decided[row]
        else:
            self._decided[row] = before
        return row

    def suggest(self) -> int | None:
        """The undecided proposal whose yes or no helps most; None if all are decided.

        Those that the run suggests come first, then the least certain.
        """
        asked = [row for row in rows_of(self.proposals).tolist() if row not in self._decided]
        if asked:
            return int(asked[0])
        away = doubt(self.proposals, self.cut)
        away[list(self._decided)] = np.inf
        return int(away.argmin()) if np.isfinite(away).any() else None

    def following(self, row: int | None, step: int = 1) -> int | None:
        """The next pick in the order of the proposals, around the end."""
        rows = np.flatnonzero(self.kept)
        if not len(rows):
            return None
        if row is None:
            return int(rows[0])
        at = np.searchsorted(rows, row, side="right" if step > 0 else "left")
        return int(rows[(at if step > 0 else at - 1) % len(rows)])

    def curated(self) -> Picks:
        """The proposals with the person's verdict; ids stay, the column says who decided."""
        kept = self.kept
        by = ["none"] * len(kept)
        reasons = [
            "" if now else reason or BELOW_CUT
            for now, reason in zip(kept, self.proposals.reasons, strict=True)
        ]
        for row, accepted in self._decided.items():
            by[row] = f"{'accepted' if accepted else 'rejected'}_by_{self.who}"
            reasons[row] = "" if accepted else BY_HAND
        extra = {**self.proposals.extra, COLUMN: tuple(by)}
        return replace(self.proposals, kept=kept, reasons=tuple(reasons), extra=extra)
