#!/usr/bin/env python3
"""Prints test vectors of sealed records, made by an implementation that shares no code with the service.

    python3 -m venv venv && venv/bin/pip install cryptography
    venv/bin/python scripts/seal_vectors.py > tests/it/seal/vectors.json

The format is described in ARCHITECTURE.md.
"""

import base64
import json

from cryptography.hazmat.primitives.ciphers.aead import AESGCMSIV
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

CASES = [
    ("acme", "c-1", bytes(range(16)), b'{"FullName":{"FirstName":"Mia"}}'),
    ("a.b_C-9", "\u00e9/\U0001F600 %", bytes(reversed(range(16))), b"{}"),
    ("x", "1" * 36, b"\xff" * 16, "{\"Street\":\"\u6771\u4eac\"}".encode() * 40),
]


def account_key(seal_key: bytes, account: str) -> bytes:
    return HKDF(SHA256(), 32, salt=b"customers-api record", info=account.encode()).derive(seal_key)


def seal(seal_key: bytes, nonce: bytes, account: str, customer_id: str, version: bytes, fields: bytes) -> bytes:
    associated = account.encode() + b"\0" + customer_id.encode() + b"\0" + version
    return b"\x01" + nonce + AESGCMSIV(account_key(seal_key, account)).encrypt(nonce, fields, associated)


def main() -> None:
    vectors = []
    for number, (account, customer_id, version, fields) in enumerate(CASES):
        seal_key = bytes((number * 32 + index) % 256 for index in range(32))
        nonce = bytes((200 + number + index) % 256 for index in range(12))
        sealed = seal(seal_key, nonce, account, customer_id, version, fields)
        vectors.append({
            "SealKey": base64.b64encode(seal_key).decode(), "Account": account, "CustomerID": customer_id,
            "Version": version.hex(), "Fields": fields.decode(), "Sealed": sealed.hex(),
        })
    print(json.dumps(vectors, indent=1))


main()
