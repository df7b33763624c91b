"""Passwords at rest: AES-GCM under a ring of keys, each value bound to the place where it is stored.

A sealed value is `format, length of key id, key id, nonce, ciphertext with tag`. The key id in front lets a new key
encrypt while the old ones still decrypt.
"""

import base64
import binascii
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final, Self

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from registry_svc.domain.errors import CredentialUnreadable
from registry_svc.domain.registry import COLLECTION, Credential, Registry, SealedCredential
from service_kit.secret import Secret

KEY_BYTES: Final = 32
NONCE_BYTES: Final = 12  # 96 bits, the size that GCM is made for; random, since replicas share a key

_FORMAT: Final = 1
_KEY_ID: Final = re.compile(r"[A-Za-z0-9._-]{1,32}")
_DEFAULT_KEY_ID: Final = "1"


class KeysInvalid(ValueError):
    """The file of keys cannot be used; the message says which line and never what is in it."""


class KeyRing:
    """The keys by their ids. The first one encrypts, all decrypt."""

    def __init__(self, keys: Mapping[str, bytes]) -> None:
        self._ciphers = {key_id: AESGCM(key) for key_id, key in keys.items()}
        self._current = next(iter(keys))

    @classmethod
    def read(cls, path: Path) -> Self:
        """Reads `keyid:base64` lines, or one line of base64 alone. Raises KeysInvalid."""
        try:
            lines = [line.strip() for line in path.read_text(encoding="ascii").splitlines()]
        except (OSError, UnicodeDecodeError) as error:
            raise KeysInvalid(f"the file of keys cannot be read: {type(error).__name__}") from None
        keys: dict[str, bytes] = {}
        for number, line in enumerate(lines, start=1):
            if line:
                key_id, key = _key(line, number)
                if key_id in keys:
                    raise KeysInvalid(f"line {number}: the key id {key_id} is there twice")
                keys[key_id] = key
        if not keys:
            raise KeysInvalid("the file of keys is empty")
        return cls(keys)

    def encrypt(self, plaintext: bytes, *, place: bytes) -> bytes:
        nonce = os.urandom(NONCE_BYTES)
        key_id = self._current.encode()
        ciphertext = self._ciphers[self._current].encrypt(nonce, plaintext, place)
        return bytes([_FORMAT, len(key_id)]) + key_id + nonce + ciphertext

    def decrypt(self, sealed: bytes, *, place: bytes) -> bytes:
        """Raises InvalidTag when the value was changed, is from another place, or its key is not on the ring."""
        key_id, rest = _opened(sealed)
        cipher = self._ciphers.get(key_id)
        if cipher is None:
            raise InvalidTag
        return cipher.decrypt(rest[:NONCE_BYTES], rest[NONCE_BYTES:], place)


class Vault:
    """Seals and opens the credentials of registries."""

    def __init__(self, keys: KeyRing) -> None:
        self._keys = keys

    def seal(self, credential: Credential, *, uid: str) -> SealedCredential:
        password = credential.password.reveal().encode()
        return SealedCredential(username=credential.username, password=self._keys.encrypt(password, place=_place(uid)))

    def open(self, registry: Registry) -> Credential | None:
        """The credential of a registry, None when it has none. Raises CredentialUnreadable."""
        sealed = registry.credential
        if sealed is None:
            return None
        try:
            password = self._keys.decrypt(sealed.password, place=_place(registry.uid))
        except (InvalidTag, ValueError):
            key_id = _opened(sealed.password)[0]
            raise CredentialUnreadable(registry=COLLECTION + registry.id, key_id=key_id) from None
        return Credential(username=sealed.username, password=Secret(password.decode()))


def _place(uid: str) -> bytes:
    # A value copied to another row or column does not open.
    return b"|".join((b"registries", uid.encode(), b"sealed_password"))


def _opened(sealed: bytes) -> tuple[str, bytes]:
    """The key id and what comes after it; the id is empty for something that is no sealed value."""
    if len(sealed) < 2 or sealed[0] != _FORMAT:
        return "", b""
    end = 2 + sealed[1]
    return sealed[2:end].decode("ascii", errors="replace"), sealed[end:]


def _key(line: str, number: int) -> tuple[str, bytes]:
    key_id, _, text = line.rpartition(":")
    key_id = key_id or _DEFAULT_KEY_ID
    if not _KEY_ID.fullmatch(key_id):
        raise KeysInvalid(f"line {number}: the key id has characters other than letters, digits, '.', '_' and '-'")
    try:
        key = base64.b64decode(text, validate=True)
    except binascii.Error:
        raise KeysInvalid(f"line {number}: the key is not base64") from None
    if len(key) != KEY_BYTES:
        raise KeysInvalid(f"line {number}: the key has {len(key)} bytes, not {KEY_BYTES}")
    return key_id, key
