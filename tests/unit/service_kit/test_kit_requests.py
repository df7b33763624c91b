"""Pages and masks of requests."""

import pytest
from google.protobuf.api_pb2 import Api
from google.protobuf.field_mask_pb2 import FieldMask

from service_kit.errors import InvalidPageToken, InvalidRequest, UnknownFieldInMask
from service_kit.masks import check_mask
from service_kit.paging import PageToken, page_size

MUTABLE = frozenset({"version", "source_context.file_name"})


@pytest.mark.parametrize(("requested", "given"), [(0, 50), (1, 1), (1000, 1000)])
def test_a_page_size_is_taken_as_asked_and_zero_is_the_default(requested: int, given: int) -> None:
    assert page_size(requested) == given


@pytest.mark.parametrize("requested", [-1, 1001])
def test_a_page_size_out_of_range_is_an_error_of_its_field(requested: int) -> None:
    with pytest.raises(InvalidRequest) as caught:
        page_size(requested)
    assert [violation.field for violation in caught.value.violations] == ["page_size"]


def test_a_page_token_comes_back_for_the_same_filters() -> None:
    token = PageToken(("2026-01-01", 7)).encode("state=RUNNING", None)
    assert PageToken.decode(token, "state=RUNNING", None) == PageToken(("2026-01-01", 7))


def test_the_first_page_has_no_token() -> None:
    assert PageToken.decode("", "any") is None


def test_a_page_token_of_other_filters_is_refused() -> None:
    token = PageToken(("a",)).encode("state=RUNNING")
    with pytest.raises(InvalidPageToken):
        PageToken.decode(token, "state=FAILED")


@pytest.mark.parametrize("token", ["x", "%%%", "bnVsbA", "W10", "eyJhIjoxfQ", "WzFd", "é"])
def test_a_damaged_page_token_is_refused(token: str) -> None:
    with pytest.raises(InvalidPageToken):
        PageToken.decode(token)


def test_a_mask_selects_what_is_written() -> None:
    assert check_mask(FieldMask(paths=["version"]), Api(), mutable=MUTABLE) == {"version"}


def test_a_star_selects_all_that_can_be_written() -> None:
    assert check_mask(FieldMask(paths=["*"]), Api(), mutable=MUTABLE) == MUTABLE


def test_without_a_mask_the_populated_fields_are_written() -> None:
    assert check_mask(FieldMask(), Api(name="fixed", version="2"), mutable=MUTABLE) == {"version"}


def test_each_wrong_path_of_a_mask_is_named_with_what_is_wrong() -> None:
    mask = FieldMask(paths=["version", "nonsense", "name"])
    with pytest.raises(UnknownFieldInMask) as caught:
        check_mask(mask, Api(), mutable=MUTABLE, immutable=frozenset({"name"}))
    assert [violation.description for violation in caught.value.violations] == [
        "name: cannot be changed after creation",
        "nonsense: no such field",
    ]
