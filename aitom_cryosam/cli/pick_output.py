"""What `cryosam pick` prints of a run, and what to try where little was found."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from aitom_cryosam.cli.tables import file_rows
from aitom_cryosam.wording import plural

if TYPE_CHECKING:
    from aitom_cryosam.record import Record

FEW = 0.05
"""Share of the proposals: where less are picks, a click may have been an odd one."""


def summary(record: Record, seconds: float) -> list[tuple[str, str]]:
    """What to print at the end of a run: rows of a label and what it is of."""
    if record.content.get("target") is not None:
        return _structure_summary(record, seconds)
    used = int(record.prompts.kept.sum())
    return [
        ("diameter", record.diameter_told),
        ("prompts", f"{used} of {len(record.prompts)} used"),
        ("picks", f"{len(record.picks)} of {len(record.proposals)} proposals{_expected(record)}"),
        ("left out", _left_out(record)),
        ("cut", _cut_line(record)),
        ("seconds", f"{seconds:.0f}: {_seconds(record)}"),
        *_asked(record),
        *file_rows(record.files.values()),
    ]


def _asked(record: Record) -> Iterator[tuple[str, str]]:
    """The suggestions, to be typed after --prompt or --reject."""
    from aitom_cryosam.geometry import as_typed
    from aitom_cryosam.scoring.suggestions import rows_of

    points = record.proposals.points_zyx[rows_of(record.proposals)].round(1)
    if len(points):
        yield "ask about", "  ".join(map(as_typed, points))


def _structure_summary(record: Record, seconds: float) -> list[tuple[str, str]]:
    """As `summary`, of membranes or filaments."""
    used, counts = int(record.prompts.kept.sum()), record.content["counts"]
    name = record.content["target"]["name"]
    return [
        ("prompts", f"{used} of {len(record.prompts)} used"),
        ("found", plural(counts["structures"], name)),
        ("points", f"{counts['picks']}, {record.content['target']['spacing_angstrom']:g} Å apart"),
        ("seconds", f"{seconds:.0f}: {_seconds(record)}"),
        *file_rows(record.files.values()),
    ]


def advice(record: Record) -> str:
    """What to try where less was found than is to be expected; empty where enough was."""
    target = record.content.get("target")
    if target is not None:
        found = record.content["counts"]["structures"]
        return "" if found else _no_structure(target["name"], record)
    if not len(record.picks):
        return _nothing(record)
    few = len(record.picks) < FEW * len(record.proposals)
    return _few(record) if few and record.settings.cut == "auto" else ""


def _no_structure(name: str, record: Record) -> str:
    """What to try where none was found."""
    if record.prompts.kept.any():
        return (
            f"No {name} lies where picks are allowed, and the mask is empty: check --region, "
            "--exclude, --edge and --lamella."
        )
    other = "bright" if record.contrast == "dark" else "dark"
    return (
        f"No {name} was found, and the mask is empty: nothing at the clicks stands out from the "
        f"noise. Click on the middle of a {name} where it is clear, or try --contrast {other} if "
        f"it is {other}."
    )


def _left_out(record: Record) -> str:
    counts = record.proposals.left_out.most_common()
    return ", ".join(f"{count} {reason}" for reason, count in counts) or "none"


def _expected(record: Record) -> str:
    if record.by_clusters:
        return (
            ", by clusters: nearly all places look alike, and the probabilities cannot tell them "
            "apart"
        )
    share = record.content["counts"].get("expected_precision")
    return "" if share is None else f"; {100 * share:.0f} % of them right, by their probabilities"


def _cut_line(record: Record) -> str:
    scores = record.picks.scores
    lowest = f"; the lowest pick has {scores.min():.3f}" if len(scores) else ""
    return f"{record.settings.cut}{lowest}"


def _seconds(record: Record) -> str:
    """The stages that took a while."""
    return ", ".join(f"{k} {v:.0f}" for k, v in record.seconds.items() if v >= 0.5)


def _nothing(record: Record) -> str:
    """What to try after a run without picks."""
    if not len(record.proposals):
        return (
            "No picks, as no place was considered: nothing like the particle lies where picks are "
            "allowed. Check --region, --exclude, --edge, --lamella and --tau-sim."
        )
    other = "bright" if record.contrast == "dark" else "dark"
    scores = record.proposals.scores
    best = f" (the best proposal has {scores.max():.3f})" if len(scores) else ""
    return (
        f"No picks. Left out: {_left_out(record)}. Try --contrast {other} if protein is {other}, "
        "--diameter ANGSTROM, a click nearer to a particle's centre, more than one --prompt, "
        f"or a lower --cut{best}; --cut none keeps all."
    )


def _few(record: Record) -> str:
    """What to try where more was to be expected."""
    proposals = record.proposals
    best = ""
    if proposals.probabilities is not None and not proposals.kept.all():
        probable = proposals.probabilities[~proposals.kept].max()
        best = f"; the best of the others has a probability of {probable:.2f}"
    return (
        f"Only {len(record.picks)} of {len(proposals)} proposals are picks{best}. If you see more "
        "of these particles, click on two or three others too (--prompt): a single click may be "
        "on an unusual copy."
    )
