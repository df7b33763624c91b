"""How artifacts are copied, as it is said on the command line."""

import pytest
import typer

from transship.cli.transfer import How, parse_rate, rate_text
from transship.policy.v1.policy_pb2 import Policy
from transship.type.v1.transfer_pb2 import TransferOptions


@pytest.mark.parametrize(
    ("text", "rate"),
    [
        ("0", 0),
        ("500000", 500_000),
        ("7B", 7),
        ("1kB", 1000),
        ("1KB", 1000),
        ("10MB", 10_000_000),
        ("10MiB", 10_485_760),
        (" 1.5 GiB ", 1_610_612_736),
        ("0.1B", 1),  # never 0, which is no limit
        ("2TB", 2 * 10**12),
        (str(2**63 - 1), 2**63 - 1),
    ],
)
def test_a_rate_may_have_a_unit(text: str, rate: int) -> None:
    assert parse_rate(text) == rate


@pytest.mark.parametrize(
    "text", ["", "-1", "10Mb", "10M", "MB", "1,5MB", "1e3", "10 MB/s", "٣MB", str(2**63), "9999999TB"]
)
def test_what_is_no_rate_is_refused_with_what_to_write(text: str) -> None:
    with pytest.raises(typer.BadParameter, match="10MiB"):
        parse_rate(text)


def test_no_limit_is_not_shown() -> None:
    assert (rate_text(0), rate_text(10_000_000)) == ("", "10.0 MB/s")


def test_what_is_not_said_is_not_given() -> None:
    policy = Policy()
    assert list(How().change(policy)) == []
    assert not policy.HasField("options")


def test_a_type_of_referrers_says_that_there_are_some() -> None:
    policy = Policy()
    assert list(How(referrer_type=["a/b"]).change(policy)) == ["options"]
    assert policy.options == TransferOptions(referrers=True, referrer_types=["a/b"])
    list(How(referrers=False).change(policy))
    assert policy.options == TransferOptions()
    with pytest.raises(typer.BadParameter, match="exclude each other"):
        list(How(referrers=False, referrer_type=["a/b"]).change(policy))


def test_options_that_are_not_given_stay() -> None:
    policy = Policy(options=TransferOptions(platforms=["linux/amd64"], referrers=True, max_bytes_per_second=7))
    list(How(platform=["linux/arm64"], limit_rate=0).change(policy))
    assert policy.options == TransferOptions(platforms=["linux/arm64"], referrers=True)
