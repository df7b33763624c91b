"""Which hosts a registry may send us to."""

import pytest

from oci_client.errors import RedirectRefused
from oci_client.network import KNOWN_TTL_S, Network, is_public
from oci_client.testing import PretendedNetwork


@pytest.mark.parametrize("address", ["8.8.8.8", "2606:4700::1", "::ffff:8.8.8.8", "64:ff9b::8.8.8.8", "2002:808:808::"])
def test_public_addresses(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "10.0.0.1",
        "172.16.0.1",
        "192.168.0.1",
        "169.254.169.254",
        "100.64.0.1",
        "0.0.0.0",
        "224.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "fe80::1",
        "fe80::1%2",
        "fd00::1",
        "fec0::1",
        "ff02::1",
        "::ffff:10.0.0.1",
        "::10.0.0.1",
        "64:ff9b::10.0.0.1",
        "2002:a00:1::",
    ],
)
def test_other_addresses(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize("host", ["a..b", "a" * 64, "nul\0", "name.invalid"])
def test_what_is_no_host_does_not_resolve(host: str) -> None:
    with pytest.raises(OSError):
        Network().resolve(host)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.1", "0x7f000001", "2130706433", "::ffff:127.0.0.1", "localhost"])
def test_no_spelling_hides_an_address(host: str) -> None:
    network = Network()

    assert not network.is_public_host(host)
    with pytest.raises(RedirectRefused):
        network.resolve_public(host)


def test_each_address_of_a_name_counts() -> None:
    network = PretendedNetwork(public=["8.8.8.8"], names={"both": [["8.8.8.8", "10.0.0.1"]], "public": [["8.8.8.8"]]})

    assert network.resolve_public("public") == ["8.8.8.8"]
    with pytest.raises(RedirectRefused):
        network.resolve_public("both")
    assert network.is_public_host("both")


def test_a_name_that_nobody_here_knows_may_be_known_to_a_proxy() -> None:
    network = Network()

    network.check_public("name.invalid")
    assert network.is_public_host("name.invalid")


def test_what_a_registry_is_is_remembered_for_a_while() -> None:
    now = [0.0]
    network = PretendedNetwork(
        public=["8.8.8.8"], names={"registry": [["10.0.0.1"], ["8.8.8.8"]]}, clock=lambda: now[0]
    )

    assert [network.is_public_host("registry") for _ in range(9)] == [False] * 9
    now[0] = KNOWN_TTL_S
    assert network.is_public_host("registry")
    assert network.asked == ["registry"] * 2
