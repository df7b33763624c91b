"""Passwords at rest."""

import base64
import os
from dataclasses import replace
from pathlib import Path

import pytest

from registry_svc.domain.errors import CredentialUnreadable
from registry_svc.vault import KeyRing, KeysInvalid, Vault
from tests.unit.registry_svc.registry_fakes import UID, a_credential, a_registry

KEY, OTHER_KEY = os.urandom(32), os.urandom(32)


def _line(key: bytes, key_id: str = "") -> str:
    return f"{key_id}:{base64.b64encode(key).decode()}" if key_id else base64.b64encode(key).decode()


def _sealed_by(ring: KeyRing) -> bytes:
    return Vault(ring).seal(a_credential(), uid=UID).password


def test_what_is_sealed_opens_again_and_does_not_show_the_password() -> None:
    vault = Vault(KeyRing({"1": KEY}))
    sealed = vault.seal(a_credential(), uid=UID)

    assert vault.open(a_registry(credential=sealed)) == a_credential()
    assert b"pa55word" not in sealed.password
    assert "pa55word" not in repr(a_credential())
    assert sealed.password[:3] == b"\x01\x011"


def test_each_sealing_has_its_own_nonce() -> None:
    ring = KeyRing({"1": KEY})

    assert len({_sealed_by(ring)[3:15] for _ in range(50)}) == 50


def test_an_old_key_still_opens_and_the_new_one_seals() -> None:
    sealed = Vault(KeyRing({"old": KEY})).seal(a_credential(), uid=UID)
    ring = KeyRing({"new": OTHER_KEY, "old": KEY})

    assert Vault(ring).open(a_registry(credential=sealed)) == a_credential()
    assert b"new" in _sealed_by(ring)[:5]


@pytest.mark.parametrize(("keys", "key_id"), [({"1": OTHER_KEY}, "1"), ({"2": KEY}, "1")])
def test_a_wrong_key_is_a_typed_error_that_names_the_key(keys: dict[str, bytes], key_id: str) -> None:
    sealed = Vault(KeyRing({"1": KEY})).seal(a_credential(), uid=UID)

    with pytest.raises(CredentialUnreadable) as caught:
        Vault(KeyRing(keys)).open(a_registry(credential=sealed))

    assert caught.value.metadata == {"registry": "registries/hub", "key_id": key_id}


def test_a_password_copied_to_another_row_does_not_open() -> None:
    vault = Vault(KeyRing({"1": KEY}))
    sealed = vault.seal(a_credential(), uid=UID)

    with pytest.raises(CredentialUnreadable):
        vault.open(a_registry(uid=UID.replace("0b", "0c"), credential=sealed))


@pytest.mark.parametrize("damage", [b"", b"\x01", b"\x02\x011" + bytes(40), b"\x01\x011", b"\x01\xff"])
def test_damaged_bytes_do_not_open(damage: bytes) -> None:
    vault = Vault(KeyRing({"1": KEY}))
    sealed = replace(vault.seal(a_credential(), uid=UID), password=damage)

    with pytest.raises(CredentialUnreadable):
        vault.open(a_registry(credential=sealed))


def test_every_flipped_byte_is_noticed() -> None:
    vault = Vault(KeyRing({"1": KEY}))
    sealed = vault.seal(a_credential(), uid=UID)

    for index in range(len(sealed.password)):
        damaged = bytearray(sealed.password)
        damaged[index] ^= 1
        with pytest.raises(CredentialUnreadable):
            vault.open(a_registry(credential=replace(sealed, password=bytes(damaged))))


def test_keys_come_from_a_file_the_first_one_sealing(tmp_path: Path) -> None:
    path = tmp_path / "keys"
    path.write_text(f"{_line(OTHER_KEY, 'b')}\n\n{_line(KEY, 'a')}\n")

    assert _sealed_by(KeyRing.read(path))[2:3] == b"b"


def test_a_bare_line_is_the_key_1(tmp_path: Path) -> None:
    path = tmp_path / "keys"
    path.write_text(_line(KEY))
    sealed = Vault(KeyRing.read(path)).seal(a_credential(), uid=UID)

    assert Vault(KeyRing({"1": KEY})).open(a_registry(credential=sealed)) == a_credential()


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "empty"),
        (_line(KEY[:16], "a"), "line 1: the key has 16 bytes"),
        ("a:***", "line 1: the key is not base64"),
        (f"{_line(KEY, 'a')}\n{_line(OTHER_KEY, 'a')}", "line 2: the key id a is there twice"),
        (_line(KEY, "a b"), "line 1: the key id has"),
    ],
    ids=("empty", "short", "no base64", "twice", "a space"),
)
def test_a_bad_file_of_keys_is_told_by_its_line(tmp_path: Path, text: str, problem: str) -> None:
    path = tmp_path / "keys"
    path.write_text(text)

    with pytest.raises(KeysInvalid, match=problem):
        KeyRing.read(path)
