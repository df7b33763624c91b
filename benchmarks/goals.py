"""What is promised of our own stack, held against what was measured."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from benchmarks.cases import ROUND_TRIP_S
from benchmarks.ours import WORKER, Ours
from benchmarks.results import Results, Summary

_GIB: Final = 1024**3
_MB: Final = 1000**2
_OURS: Final = Ours.name
# What has to wait for the answer before it, from the client's call to the end. The sides are asked side by side, so
# that each line is one round trip; a new connection is one more.
LONGEST_CHAIN: Final = {
    "g-b": (
        "connect to list",
        "tag list",
        "connect to copy",
        "HEAD manifest",
        "GET manifest",
        "POST upload",
        "GET blob",
        "PUT blob",
        "POST mount of what another repository waited for",
        "PUT manifest",
    ),
    "g-c": ("connect to list", "tag list", "connect to compare", "HEAD manifest"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """One promise; `is_kept` is None when what it needs was not measured."""

    case: str
    promise: str
    measured: str
    is_kept: bool | None


def verdicts(results: Results) -> list[Verdict]:
    """Every promise about the cases that were run."""
    cases = set(results.cases)
    return [each for each in _all(results) if each.case in cases]


def _all(results: Results) -> Iterator[Verdict]:
    for case, cpu_s in (("a", 1.8), ("a-tls", 3.2)):
        yield from _large_layer(results, case, cpu_s)
    yield _times_faster(results, "b", "skopeo", 2.5)
    for case in ("c", "d"):
        yield _times_faster(results, case, "skopeo", 15)
    yield _at_most("c", "requests a tag, without tag lists", _requests_a_tag(results, "c", ("GET tags",)), 2)
    yield from _same_image(results)
    yield _at_most("f", "requests a tag", _requests_a_tag(results, "f", ()), 2.5)
    yield _at_most("f", "wall s", results.wall_s("f", _OURS), 3)
    for delayed, plain in (("g-b", "b"), ("g-c", "c")):
        yield _delayed(results, delayed, plain)
    yield from _broken_connection(results)
    for case in ("b", "c", "f", "g-b", "g-c"):
        for rival in ("crane", "regsync"):
            yield _times_faster(results, case, rival, 1)


def _large_layer(results: Results, case: str, cpu_s_per_gib: float) -> Iterator[Verdict]:
    yield _at_most(case, "wall, x curl -T", results.ratio(case, _OURS, "curl -T"), 1.15)
    found = results.get(case, _OURS)
    usage = found.usage if found else None
    if found is None or usage is None:
        return
    yield _at_most(case, "CPU s/GiB", usage.total_cpu_s / (found.facts.unique_bytes / _GIB), cpu_s_per_gib)
    yield _at_most(case, "memory of a worker, MB", usage.peak_rss_bytes[WORKER] / _MB, 120)


def _same_image(results: Results) -> Iterator[Verdict]:
    found = results.get("e", _OURS)
    if found is None or found.traffic is None:
        return
    size = found.facts.unique_bytes
    yield _at_most("e", "bytes read, x the image", found.traffic.source.blob_bytes_read / size, 1.05)
    yield _at_most("e", "bytes written, x the image", found.traffic.destination.blob_bytes_written / size, 1.05)
    yield _at_least(
        "e", "mounts a blob", found.traffic.destination.mounts / found.facts.blobs, found.facts.repositories - 1
    )


def _broken_connection(results: Results) -> Iterator[Verdict]:
    found = results.get("h", _OURS)
    if found is None or found.traffic is None:
        return
    read = found.traffic.source.blob_bytes_read / found.facts.unique_bytes
    yield _at_most("h", f"bytes read, x the layer, {found.traffic.source.cuts} cuts", read, 1.2)


def _delayed(results: Results, case: str, plain: str) -> Verdict:
    base = results.wall_s(plain, _OURS)
    trips = len(LONGEST_CHAIN[case])
    limit = None if base is None else 1.6 * base + trips * ROUND_TRIP_S
    promise = f"wall s, 1.6 x {plain} + {trips} x {ROUND_TRIP_S * 1000:.0f} ms"
    return _at_most(case, promise, results.wall_s(case, _OURS), limit)


def _times_faster(results: Results, case: str, rival: str, times: float) -> Verdict:
    return _at_least(case, f"x faster than {rival}", results.ratio(case, rival, _OURS), times)


def _requests_a_tag(results: Results, case: str, without: tuple[str, ...]) -> float | None:
    found = results.get(case, _OURS)
    return None if found is None else requests_a_tag(found, without)


def requests_a_tag(summary: Summary, without: tuple[str, ...] = ()) -> float | None:
    """Requests at both registries."""
    if summary.traffic is None:
        return None
    both = (summary.traffic.source, summary.traffic.destination)
    return sum(counts.without(without) for counts in both) / summary.facts.tags


def _at_most(case: str, promise: str, value: float | None, limit: float | None) -> Verdict:
    is_kept = None if value is None or limit is None else value <= limit
    return _verdict(case, promise, "at most", value, limit, is_kept)


def _at_least(case: str, promise: str, value: float | None, limit: float) -> Verdict:
    return _verdict(case, promise, "at least", value, limit, None if value is None else value >= limit)


def _verdict(
    case: str, promise: str, bound: str, value: float | None, limit: float | None, is_kept: bool | None
) -> Verdict:
    limit_text = "?" if limit is None else f"{limit:.3g}"
    measured = "not measured" if value is None else f"{value:.3g}"
    return Verdict(case=case, promise=f"{promise}: {bound} {limit_text}", measured=measured, is_kept=is_kept)
