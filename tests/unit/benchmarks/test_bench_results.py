"""Medians, ratios and promises, from figures that are given."""

import re
from pathlib import Path

import pytest

from benchmarks.counts import Counts, Tally, kind_of
from benchmarks.goals import requests_a_tag, verdicts
from benchmarks.measure import Usage
from benchmarks.record import Record
from benchmarks.report import markdown, screen_text
from benchmarks.results import CorpusFacts, Measurement, Results, Traffic, median_usage

FACTS = CorpusFacts(repositories=20, tags=200, unique_bytes=1024**3, blobs=4)


def a_usage(wall_s: float, cpu_s: float = 1.0, rss: int = 50_000_000) -> Usage:
    return Usage(wall_s=wall_s, cpu_s={"worker": cpu_s}, peak_rss_bytes={"worker": rss})


def a_run(
    case: str, contender: str, wall_s: float, *, traffic: Traffic | None = None, timed: bool = True
) -> Measurement:
    return Measurement(
        case=case, contender=contender, facts=FACTS, is_timed=timed, usage=a_usage(wall_s), traffic=traffic
    )


def a_traffic(**requests: int) -> Traffic:
    tallies = {key.replace("_", " "): Tally(requests=count) for key, count in requests.items()}
    return Traffic(source=Counts(tallies=tallies), destination=Counts(tallies=tallies))


@pytest.mark.parametrize(
    ("method", "target", "status", "kind"),
    [
        ("GET", "/v2/", 200, "ping"),
        ("GET", "/v2/_catalog?n=100", 200, "catalog"),
        ("GET", "/v2/a/b/tags/list", 200, "tags"),
        ("HEAD", "/v2/a/b/manifests/v1", 200, "manifest"),
        ("GET", "/v2/a/blobs/sha256:00", 200, "blob"),
        ("POST", "/v2/a/blobs/uploads/", 202, "upload"),
        ("PUT", "/v2/a/blobs/uploads/1234?digest=sha256:00", 201, "upload"),
        ("POST", "/v2/a/blobs/uploads/?mount=sha256:00&from=b", 201, "mount"),
        ("POST", "/v2/a/blobs/uploads/?mount=sha256:00&from=b", 202, "mount refused"),
        ("GET", "/v2/a/referrers/sha256:00", 404, "referrers"),
        ("GET", "/token", 200, "other"),
    ],
)
def test_kinds_of_requests(method: str, target: str, status: int, kind: str) -> None:
    assert kind_of(method, target, status) == kind


def test_the_median_is_taken_of_each_figure_by_itself() -> None:
    middle = median_usage([a_usage(1, 9, 10), a_usage(2, 7, 30), a_usage(3, 8, 20)])

    assert (middle.wall_s, middle.cpu_s["worker"], middle.peak_rss_bytes["worker"]) == (2, 8, 20)


def test_runs_that_were_counted_do_not_count_as_time() -> None:
    results = Results([a_run("c", "transship", 1.0), a_run("c", "transship", 99.0, timed=False)])

    assert results.wall_s("c", "transship") == 1.0


def test_a_ratio_needs_both() -> None:
    results = Results([a_run("c", "transship", 2.0), a_run("c", "skopeo", 30.0)])

    assert results.ratio("c", "skopeo", "transship") == 15.0
    assert results.ratio("c", "crane", "transship") is None


def test_a_failed_run_has_no_time_and_is_told() -> None:
    failed = Measurement(case="h", contender="skopeo", facts=FACTS, is_timed=True, failure="gave up")
    results = Results([failed])

    assert results.wall_s("h", "skopeo") is None
    assert "failed" in screen_text(results)


def test_requests_a_tag_are_of_both_sides_less_those_named() -> None:
    run = a_run("c", "transship", 1.0, traffic=a_traffic(HEAD_manifest=200, GET_tags=20))
    summary = Results([run]).of("c")[0]

    assert requests_a_tag(summary, ("GET tags",)) == 2.0
    assert requests_a_tag(summary) == 2.2


@pytest.mark.parametrize(("skopeo_s", "is_kept"), [(14.9, False), (15.0, True)])
def test_a_promise_is_kept_up_to_its_bound(skopeo_s: float, is_kept: bool) -> None:
    results = Results([a_run("c", "transship", 1.0), a_run("c", "skopeo", skopeo_s)])
    found = {each.promise: each.is_kept for each in verdicts(results)}

    assert found["x faster than skopeo: at least 15"] is is_kept
    assert found["x faster than crane: at least 1"] is None


def test_counts_survive_the_wire() -> None:
    counts = Counts(tallies={"GET blob": Tally(requests=1, bytes_out=5)}, peak_in_flight=2, cuts=1)

    assert Counts.from_json(counts.to_json()) == counts


def test_a_case_that_is_measured_again_leaves_the_others_as_they_were(tmp_path: Path) -> None:
    first = Record({}).with_measured(
        [a_run("c", "transship", 1.0, traffic=a_traffic(HEAD_manifest=2)), a_run("f", "transship", 2.0)],
        commit="old",
        rounds=3,
        machine={"cores": "2"},
    )
    first.write(tmp_path / "latest.json")
    again = Record.read(tmp_path / "latest.json").with_measured(
        [a_run("f", "transship", 5.0)], commit="new", rounds=1, machine={"cores": "2"}
    )

    assert (again.results.wall_s("c", "transship"), again.results.wall_s("f", "transship")) == (1.0, 5.0)
    assert {case: each.commit for case, each in again.occasions.items()} == {"c": "old", "f": "new"}
    assert again.occasions["c"] == first.occasions["c"]


def test_the_page_says_at_which_commit_a_case_was_measured() -> None:
    record = Record({}).with_measured([a_run("c", "transship", 1.0)], commit="1234567", rounds=3, machine={})

    assert re.search(r"\| c +\| 1234567 \| 3 ", markdown(record, chart="chart.svg"))
