"""Rules of single fields: URL, id, CA certificate."""

import pytest
import trustme

from registry_svc.domain.rules import parse_ca_certificate, parse_id, parse_url


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("https://registry.example.com", "https://registry.example.com"),
        (" https://registry.example.com:5000/ ", "https://registry.example.com:5000"),
        ("http://[::1]:5000/prefix//", "http://[::1]:5000/prefix"),
        ("HTTPS://registry.example.com", "https://registry.example.com"),
        ("https://registry.example.com/a@b", "https://registry.example.com/a@b"),
    ],
)
def test_a_url_is_trimmed_and_nothing_else(text: str, url: str) -> None:
    assert parse_url(text) == url


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("registry.example.com", "write https:// before it"),
        ("localhost:5000", "write https:// before it"),
        ("ftp://registry.example.com", "must begin with https:// or http://"),
        ("https://", "no scheme"),
        ("https:///path", "names no host"),
        ("https://user@registry.example.com", "registry.credential"),
        ("https://user:secret@registry.example.com", "registry.credential"),
        ("https://registry.example.com?x=1", "query or a fragment"),
        ("https://registry.example.com/#top", "query or a fragment"),
        ("https://registry.example.com:port", "malformed"),
        ("https://registry.example.com:99999", "malformed"),
        ("https://[::1", "malformed"),
        ("https://registry.exam ple.com", "blanks"),
        ("https://registry.example.com/\r\nX: y", "blanks"),
        ("", "no scheme"),
    ],
)
def test_a_wrong_url_is_refused_with_what_to_write(text: str, hint: str) -> None:
    with pytest.raises(ValueError) as caught:
        parse_url(text)

    assert hint in str(caught.value)
    assert "secret" not in str(caught.value)


def test_an_id_that_looks_like_a_uid_is_refused() -> None:
    with pytest.raises(ValueError, match="uid"):
        parse_id("0b0e6d1c-7d5e-4f6a-9d1e-2f3a4b5c6d7e")


def test_certificates_in_pem_are_kept_as_they_came() -> None:
    pem = trustme.CA().cert_pem.bytes().decode()

    assert parse_ca_certificate(pem + pem) == pem + pem
    assert parse_ca_certificate(" \n") == ""


@pytest.mark.parametrize("text", ["hello", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"])
def test_anything_but_pem_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="PEM"):
        parse_ca_certificate(text)


def test_a_certificate_with_what_cannot_be_stored_is_refused() -> None:
    with pytest.raises(ValueError, match="PEM"):
        parse_ca_certificate(trustme.CA().cert_pem.bytes().decode() + "\0")
