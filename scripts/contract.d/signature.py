"""Signs requests as the contract says, with PyJWT: an independent reading of it, which shares no code with the service."""

import hashlib
import time
import uuid
from pathlib import Path
from urllib.parse import parse_qsl

import jwt

LIFETIME_SECONDS = 300


class Signer:
    """Signs as the owner of a key that is registered under its file's name."""

    def __init__(self, key: Path):
        self.key, self.key_id = key.read_text(), key.stem

    def sign(self, method: str, target: str, body: bytes = b"") -> str:
        """The Api-Signature of a request; its target is the path and the query as they are sent."""
        path, _, query = target.partition("?")
        now = int(time.time())
        claims = {
            "aud": "customers-api", "iat": now, "exp": now + LIFETIME_SECONDS, "jti": str(uuid.uuid4()),
            "method": method, "path": path,
        }
        params: dict[str, list[str]] = {}
        for name, value in parse_qsl(query, keep_blank_values=True):
            params.setdefault(name, []).append(value)
        if params:
            claims["queryParams"] = {name: values if len(values) > 1 else values[0] for name, values in params.items()}
        if body:
            claims["bodyHash"] = hashlib.sha256(body).hexdigest()
        return jwt.encode(claims, self.key, algorithm="ES384", headers={"kid": self.key_id})
