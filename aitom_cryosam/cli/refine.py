"""`cryosam refine`: the proposals judged again, with the average of the picks."""

from __future__ import annotations

import argparse
import logging
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from aitom_cryosam.cli import averaging_options, options
from aitom_cryosam.cli.tables import file_rows, labelled

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from aitom_cryosam.averaging.refinement import Refined
    from aitom_cryosam.record import Record
    from aitom_cryosam.regions import Regions
    from aitom_cryosam.resources import Resources

logger = logging.getLogger(__name__)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `cryosam refine`."""
    averaging_options.add_results(parser)
    parser.add_argument("--name", metavar="NAME", help="of the average (default: the tomogram's)")
    add_search(parser)
    parser.add_argument(
        "--memory",
        metavar="AMOUNT",
        help="for --search full, such as 8GB (default: most of what is free)",
    )


def add_search(parser: argparse._ActionsContainer) -> None:
    """Where particles are looked for."""
    parser.add_argument(
        "--search",
        choices=("proposals", "full"),
        default="proposals",
        help="full: also slide the average over the whole tomogram, for particles that were never "
        "proposed; says how long that takes before it begins (default: proposals)",
    )


FOLDER = "refined"
"""Of `pick --refine`, beside the files of `pick`."""
_OF_PICK = (
    *("star", "tomograms_star", "unbinned_pixel_size", "unbinned_size"),
    *("tilt_range", "tilts", "tilt_axis", "search", "memory", "overwrite", "quiet"),
)


def after_pick(args: argparse.Namespace, record: Record) -> int:
    """Refine what `pick` has written, with the options that it shares, into a folder beside.

    Raises:
        InputError: as for `run`.
    """
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    out = record.path.parent / FOLDER
    typed = [str(record.path), "--out", str(out), "--device", _device(args)]
    defaults = vars(parser.parse_args(typed))
    return run(argparse.Namespace(**defaults | {name: getattr(args, name) for name in _OF_PICK}))


def _device(args: argparse.Namespace) -> str:
    """A CUDA device, if that was typed; "auto" is for networks."""
    return str(args.device) if args.device.startswith("cuda") else "cpu"


def run(args: argparse.Namespace) -> int:
    """Refine, write all files, say how the picks have changed."""
    from aitom_cryosam.averaging.outcome import refined_paths, write_refined
    from aitom_cryosam.averaging.refinement import refined
    from aitom_cryosam.averaging.settings import AveragingSettings
    from aitom_cryosam.averaging.sources import box_of
    from aitom_cryosam.cli.progress import ShownProgress
    from aitom_cryosam.outputs import check_output
    from aitom_cryosam.result_files import volume_bytes

    start = time.perf_counter()
    records = options.records_of(args.results)
    for record in records:
        record.expect_particles("a second look")
    infos = averaging_options.infos_of(args, records)
    paths = refined_paths(args.out, args.name or infos[0].name, records, args.star)
    size = sum(volume_bytes(["labels"], info.shape_zyx or ()) for info in infos)
    check_output(args.out, paths.values(), size=size, overwrite=args.overwrite)
    device = averaging_options.device_of(args)
    full = _resources(args, device) if args.search == "full" else None
    diameter = averaging_options.diameter_of(args, records)
    settings = AveragingSettings(
        diameter=diameter, iterations=args.iterations, step=args.step, device=device
    )
    sources = [averaging_options.source_of(args, record) for record in records]
    if full is not None:
        sources = [
            replace(one, regions=_regions(record))
            for one, record in zip(sources, records, strict=True)
        ]
    box, voxel_size = box_of(sources, diameter)
    first = averaging_options.reference_of(args, box.size, voxel_size)
    with ShownProgress(quiet=args.quiet) as progress:
        result = refined(
            sources,
            [record.proposals for record in records],
            settings,
            first=first,
            full=full,
            progress=progress,
        )
    entries = _entries(args, records, result, diameter, time.perf_counter() - start)
    write_refined(
        paths,
        result,
        sources,
        records,
        infos,
        entries,
        star=args.star,
        overwrite=args.overwrite,
    )
    if not args.quiet:
        print(_summary(result, entries, paths))
    if result.kept_earlier:
        logger.warning("The picks stay as they were: %s.", result.kept_earlier)
    return 0


def _resources(args: argparse.Namespace, device: str) -> Resources:
    """That a search of whole tomograms may use.

    Raises:
        InputError: an amount of memory makes no sense.
    """
    from aitom_cryosam.resources import Resources, parse_memory

    ram, gpu = parse_memory(args.memory) if args.memory else (None, None)
    return Resources(device=device, ram_bytes=ram, gpu_bytes=gpu)


def _regions(record: Record) -> Regions | None:
    """Where picks may lie, as it was for the run.

    Raises:
        InputError: a mask cannot be read any more.
    """
    from aitom_cryosam.regions import RegionRules

    rules = RegionRules.from_json((record.content.get("job") or {}).get("regions", {}))
    return rules.of(record.tomogram()) if rules.any else None


def _entries(
    args: argparse.Namespace,
    records: Sequence[Record],
    result: Refined,
    diameter: float,
    seconds: float,
) -> dict[str, Any]:
    """What the run did, for its JSON files."""
    return {
        "of": [str(record.path) for record in records],
        "diameter_angstrom": round(diameter, 1),
        "reference": args.reference or "the clicks",
        "search": args.search,
        "earlier_verdict_stays": result.kept_earlier or None,
        "changes": {
            record.info.name: _changes(record, proposals)
            for record, proposals in zip(records, result.proposals, strict=True)
        },
        "seconds": round(seconds, 1),
    }


def _changes(record: Record, proposals: Any) -> dict[str, int]:
    """How the set of picks has changed, and why picks were lost."""
    from collections import Counter

    before = set(record.picks.ids.tolist())
    after = set(proposals.ids[proposals.kept].tolist())
    lost = before - after
    reasons = dict(zip(proposals.ids.tolist(), proposals.reasons, strict=True))
    why = Counter(reasons[number] for number in sorted(lost))
    changes = {"before": len(before), "after": len(after), "gained": len(after - before)}
    return changes | {f"lost, {reason}": count for reason, count in why.items()}


def _summary(result: Refined, entries: Mapping[str, Any], paths: Mapping[str, Path]) -> str:
    rows = []
    for name, changes in entries["changes"].items():
        words = [f"{count} {what}" for what, count in changes.items() if what != "after"]
        rows.append((name, f"{changes['after']} picks ({', '.join(words)})"))
    rows += [
        ("halves", f"agree to {result.average.resolution_text} (FSC 0.143)"),
        ("seconds", f"{entries['seconds']:.0f}"),
        *file_rows(paths.values()),
    ]
    return labelled(rows)
