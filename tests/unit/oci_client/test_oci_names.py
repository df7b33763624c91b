"""Digests and references: what is one, and what is none."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oci_client.digest import Digest, new_hasher
from oci_client.errors import InvalidDigest, InvalidReference
from oci_client.reference import Reference, RepositoryName, Tag, tag_or_digest

SHA256 = "sha256:" + "0a" * 32
SHA512 = "sha512:" + "0a" * 64


@given(st.binary())
def test_a_digest_of_bytes_reads_back(data: bytes) -> None:
    digest = Digest.of(data)

    assert Digest.parse(str(digest)) == digest
    assert (digest.algorithm, digest.encoded) == ("sha256", hashlib.sha256(data).hexdigest())


@pytest.mark.parametrize("text", [SHA256, SHA512])
def test_digests(text: str) -> None:
    assert Digest.parse(text) == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "sha256",
        "sha256:",
        SHA256[:-1],
        SHA256 + "0",
        SHA256.upper(),
        "sha256:" + "g" * 64,
        "md5:" + "0" * 32,
        SHA256 + "\n",
    ],
)
def test_no_digests(text: str) -> None:
    with pytest.raises(InvalidDigest):
        Digest.parse(text)


def test_a_stream_is_hashed_by_the_digest_s_own_algorithm() -> None:
    digest = Digest.of(b"content", "sha512")
    hasher = digest.hasher()
    hasher.update(b"con")
    assert not digest.matches(hasher)
    hasher.update(b"tent")
    assert digest.matches(hasher)


def test_an_unknown_algorithm() -> None:
    with pytest.raises(InvalidDigest):
        new_hasher("md5")


@pytest.mark.parametrize("text", ["a", "library/alpine", "a.b/c_d/e__f/g---h", "0/1/2", "a" * 255])
def test_repository_names(text: str) -> None:
    assert RepositoryName.parse(text) == text


@pytest.mark.parametrize(
    "text", ["", "/a", "a/", "a//b", "A", "a..b", "a___b", "-a", "a_", "a b", "a/../b", "a?b", "é", "a" * 256, "a\n"]
)
def test_no_repository_names(text: str) -> None:
    with pytest.raises(InvalidReference):
        RepositoryName.parse(text)


@pytest.mark.parametrize("text", ["latest", "1.0-rc_1", "_x", "A", "a" * 128])
def test_tags(text: str) -> None:
    assert tag_or_digest(text) == Tag.parse(text)


@pytest.mark.parametrize("text", ["", ".a", "-a", "a/b", "a b", "a" * 129, "a\n"])
def test_no_tags(text: str) -> None:
    with pytest.raises(InvalidReference):
        Tag.parse(text)


def test_neither_tag_nor_digest() -> None:
    with pytest.raises(InvalidReference):
        tag_or_digest("sha256:short")


@pytest.mark.parametrize(
    ("text", "host", "repository", "tag", "digest"),
    [
        ("alpine", None, "alpine", None, None),
        ("library/alpine:3", None, "library/alpine", "3", None),
        ("host:5000/a/b:tag@" + SHA256, "host:5000", "a/b", "tag", SHA256),
        ("localhost/a", "localhost", "a", None, None),
        ("registry.example/a@" + SHA512, "registry.example", "a", None, SHA512),
        ("[::1]:5000/a:1", "[::1]:5000", "a", "1", None),
        ("Upper/a", "Upper", "a", None, None),
    ],
)
def test_references(text: str, host: str | None, repository: str, tag: str | None, digest: str | None) -> None:
    reference = Reference.parse(text)

    assert (reference.host, reference.repository, reference.tag, reference.digest) == (host, repository, tag, digest)
    assert str(reference) == text


@pytest.mark.parametrize(
    "text", ["", "host:5000/", "a:", "a@", "a@sha256:short", "a:b:c", "ho_st.example/a", "https://host/a", "a b"]
)
def test_no_references(text: str) -> None:
    with pytest.raises(InvalidReference):
        Reference.parse(text)
