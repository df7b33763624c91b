"""Tables of the results: for the screen and for docs/benchmarks.md."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from benchmarks.cases import ROUND_TRIP_S, TITLES
from benchmarks.goals import LONGEST_CHAIN, requests_a_tag, verdicts
from benchmarks.ours import Ours
from benchmarks.record import Record
from benchmarks.results import Results, Summary

_MB: Final = 1000**2
_COLUMNS: Final = (
    "case",
    "who",
    "wall s",
    "x ours",
    "CPU s",
    "peak MB",
    "requests source",
    "requests dest.",
    "a tag",
    "MB read",
    "MB written",
    "mounts",
)
_METHOD: Final = """\
# Benchmarks

Written by `make bench`, which measures everything anew, or by `python -m benchmarks --case c`, which measures the named
cases anew; nothing here is typed in.
[benchmarks/README.md](../benchmarks/README.md) says how the cases are built and what bounds the figures.

Source and destination are two registries on the machine that runs everything else, too. Wall time, CPU and memory are
medians over the rounds of a case, in which the contenders take turns, straight to the registries; requests and bytes
are of one more round through a counting proxy. Cases g and h go through the proxy at all times. After each run, every
tag at the destination is compared with the source. Ours is measured from StartExecution to the final state at the
client; its CPU is that of all four services, with what they do when idle, and of PostgreSQL, and its memory that of
the worker and of the largest other service. The CPU of the other contenders is theirs alone, and their memory that of
the largest process.
"""


def screen_text(results: Results) -> str:
    """The table and the promises."""
    parts = [_table(_COLUMNS, _rows(results)), _table(("case", "promise", "measured", "kept"), _promises(results))]
    return "\n".join(parts)


def markdown(record: Record, *, chart: str) -> str:
    """The page."""
    results = record.results
    parts = [
        _METHOD,
        f"![Wall time by case and contender]({chart})\n",
        _table(_COLUMNS, _rows(results)),
        f"{_legend(results)}\n",
        "## Promises\n",
        _table(("case", "promise", "measured", "kept"), _promises(results)),
        "## Round trips of case g\n",
        f"{_round_trips(results)}\n",
        "## Measured on\n",
        _table(("case", "commit", "rounds"), _occasions(record)),
        *(_table(("what", "which"), machine.items()) for machine in record.machines),
    ]
    return "\n".join(parts)


def _rows(results: Results) -> Iterable[Sequence[str]]:
    for case in results.cases:
        for summary in results.of(case):
            yield _row(summary, results.ratio(case, summary.contender, Ours.name))


def _row(summary: Summary, ratio: float | None) -> Sequence[str]:
    usage, traffic = summary.usage, summary.traffic
    figures = (
        ("failed", "", "", "")
        if usage is None
        else (
            f"{usage.wall_s:.2f}",
            "" if ratio is None else f"{ratio:.2f}",
            _by_part({part: f"{seconds:.2f}" for part, seconds in usage.cpu_s.items()}),
            _by_part({part: f"{size / _MB:.0f}" for part, size in usage.peak_rss_bytes.items()}),
        )
    )
    per_tag = requests_a_tag(summary)
    counted = (
        ("", "", "", "", "", "")
        if traffic is None
        else (
            str(traffic.source.requests),
            str(traffic.destination.requests),
            "" if per_tag is None else f"{per_tag:.2f}",
            f"{traffic.source.blob_bytes_read / _MB:.1f}",
            f"{traffic.destination.blob_bytes_written / _MB:.1f}",
            str(traffic.destination.mounts),
        )
    )
    return (summary.case, summary.contender, *figures, *counted)


def _by_part(figures: Mapping[str, str]) -> str:
    """One figure, or one for each part."""
    if len(figures) == 1:
        return next(iter(figures.values()))
    return ", ".join(f"{part} {figure}" for part, figure in figures.items())


def _promises(results: Results) -> Iterable[Sequence[str]]:
    words = {True: "yes", False: "**no**", None: "?"}
    return [(each.case, each.promise, each.measured, words[each.is_kept]) for each in verdicts(results)]


def _occasions(record: Record) -> Iterable[Sequence[str]]:
    return [(case, each.commit, str(each.rounds)) for case, each in record.occasions.items()]


def _legend(results: Results) -> str:
    lines = []
    for case in results.cases:
        facts = results.of(case)[0].facts
        amount = f"{facts.tags} tags, {facts.unique_bytes / _MB:.0f} MB in {facts.blobs} blobs"
        lines.append(f"- **{case}**: {TITLES[case]} ({facts.repositories} repositories, {amount})")
        lines += [
            f"  - {each.contender} failed: `{each.failures[0].strip()[-200:]}`"
            for each in results.of(case)
            if each.failures
        ]
    return "\n".join(lines)


def _round_trips(results: Results) -> str:
    """The chain that cannot be shortened, and how wide the rest was."""
    lines = []
    for case, chain in LONGEST_CHAIN.items():
        if (found := results.get(case, Ours.name)) is None or found.traffic is None:
            continue
        sides = (("source", found.traffic.source), ("destination", found.traffic.destination))
        waves = "; ".join(
            f"{side}: {counts.requests} requests, {counts.peak_in_flight} at once at the most, "
            f"so {counts.requests / max(1, counts.peak_in_flight) * ROUND_TRIP_S:.2f} s of waiting at the least"
            for side, counts in sides
        )
        trips = f"{len(chain)} round trips in a row ({', '.join(chain)})"
        lines.append(f"- **{case}**: {trips}: {len(chain) * ROUND_TRIP_S:.2f} s. {waves}.")
    return "\n".join(lines)


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Markdown that is a table in a terminal, too."""
    lines = [list(header), *map(list, rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(header))]
    texts = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) + " |" for line in lines
    ]
    texts.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return "\n".join(texts) + "\n"
