"""What the command line decides without a service: texts, amounts, hosts."""

import pytest
import typer

from transship.cli.copy import Place, hosts_of, registry_id
from transship.cli.progress import counts
from transship.cli.render import bytes_text, enum_text, printable, time_text
from transship.cli.run import summary
from transship.execution.v1.execution_pb2 import Execution
from transship.type.v1.transfer_pb2 import TransferProgress


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.0 kB"),
        (1_234_567, "1.2 MB"),
        (2 * 10**15, "2.0 PB"),
        (10**18, "1000.0 PB"),
    ],
)
def test_bytes_have_their_unit(count: int, text: str) -> None:
    assert bytes_text(count) == text


def test_nothing_that_steers_a_terminal_is_printed() -> None:
    assert printable("a\x1b[31mb\r\nc\x9b") == "a [31mb  c "
    assert printable("a\nb", keep_lines=True) == "a\nb"
    assert printable("größer 日本") == "größer 日本"


def test_what_is_not_known_is_empty() -> None:
    assert enum_text(Execution.State, Execution.STATE_UNSPECIFIED) == ""
    assert enum_text(Execution.State, Execution.STATE_SUCCEEDED) == "SUCCEEDED"
    assert time_text(Execution().create_time) == ""


def test_progress_counts_what_need_not_be_copied_as_done() -> None:
    execution = Execution(progress=TransferProgress(blobs_total=6, blobs_copied=1, blobs_mounted=2, blobs_present=3))
    execution.task_counts.total, execution.task_counts.succeeded, execution.task_counts.failed = 4, 2, 1
    tasks, blobs, size = counts(execution)
    assert (tasks.done, tasks.total, tasks.text) == (3, 4, "3 of 4")
    assert (blobs.done, blobs.total) == (6, 6)
    assert size.text == "0 B of 0 B"


def test_deletions_stand_in_the_sums_where_there_are_any() -> None:
    execution = Execution(state=Execution.STATE_SUCCEEDED)
    assert "0 skipped, 0 failed" in summary(execution)
    execution.progress.references_deleted = 3
    assert "0 skipped, 3 deleted, 0 failed" in summary(execution)


def test_a_place_is_host_repository_and_tag() -> None:
    place = Place.parse("Localhost:5000/library/nginx:1.27")
    assert (place.host, place.repository, place.tag) == ("localhost:5000", "library/nginx", "1.27")
    assert Place.parse("docker.io/nginx") == Place(host="registry-1.docker.io", repository="library/nginx")
    assert Place.parse("docker.io/bitnami/nginx").repository == "bitnami/nginx"


@pytest.mark.parametrize(
    "text", ["nginx", "library/nginx", "host.example/", "host.example/UPPER", "", "h.example/a:b:c"]
)
def test_what_names_no_place_is_refused(text: str) -> None:
    with pytest.raises(typer.BadParameter, match="HOST/REPOSITORY"):
        Place.parse(text)


@pytest.mark.parametrize(
    ("url", "hosts"),
    [
        ("https://hub.example", {"hub.example", "hub.example:443"}),
        ("https://HUB.example:443/", {"hub.example", "hub.example:443"}),
        ("http://hub.example", {"hub.example", "hub.example:80"}),
        ("http://localhost:5000", {"localhost:5000"}),
        ("http://[::1]:5000", {"[::1]:5000"}),
        ("https://hub.example/path", set()),
    ],
)
def test_the_hosts_of_a_registry(url: str, hosts: set[str]) -> None:
    assert hosts_of(url) == hosts


@pytest.mark.parametrize(
    ("host", "name"),
    [("localhost:5000", "localhost-5000"), ("[::1]:5000", "1-5000"), ("a.example", "a.example"), ("a" * 80, "a" * 64)],
)
def test_an_id_from_a_host(host: str, name: str) -> None:
    assert registry_id(host) == name
