"""Signs requests to the Customers API. `for_httpx` and `for_requests` put it into these libraries."""

import hashlib
import json
import os
import time
import uuid
from base64 import urlsafe_b64encode
from collections import OrderedDict
from urllib.parse import parse_qsl

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256, SHA384
from cryptography.hazmat.primitives.serialization import load_pem_private_key

LIFETIME_SECONDS = 300
ATTEMPTS = 5
WAIT_SECONDS_MAX = 30
# The request may have been carried out, or not: a repeat of the same signature is safe, and tells.
SENT_AGAIN = (500, 502, 503, 504)
ALGORITHMS = {"secp384r1": ("ES384", "P-384", SHA384(), 48), "secp256r1": ("ES256", "P-256", SHA256(), 32)}


def _base64url(data):
    return urlsafe_b64encode(data).rstrip(b"=").decode()


def _part(value):
    return _base64url(json.dumps(value, separators=(",", ":")).encode())


class Signer:
    """Signs with one private key, which is PEM. By default its id is its RFC 7638 thumbprint."""

    def __init__(self, key, key_id=None, audience="customers-api"):
        self._key = load_pem_private_key(key.encode() if isinstance(key, str) else key, None)
        curve = getattr(getattr(self._key, "curve", None), "name", None)
        if curve not in ALGORITHMS:
            raise ValueError("the key must be an EC key on P-384 or P-256")
        self._algorithm, crv, self._hash, self._size = ALGORITHMS[curve]
        point = self._key.public_key().public_numbers()
        x, y = (_base64url(number.to_bytes(self._size, "big")) for number in (point.x, point.y))
        jwk = f'{{"crv":"{crv}","kty":"EC","x":"{x}","y":"{y}"}}'
        self.key_id = key_id or _base64url(hashlib.sha256(jwk.encode()).digest())
        self.audience = audience

    @classmethod
    def from_environment(cls):
        """With the variables of `customers-api sign`: CUSTOMERS_KEY (a file), CUSTOMERS_KEY_ID, CUSTOMERS_AUDIENCE."""
        file = os.environ.get("CUSTOMERS_KEY")
        if not file:
            raise ValueError("CUSTOMERS_KEY is not set: it must name the file with the private key")
        with open(file, "rb") as pem:
            key = pem.read()
        key_id, audience = os.environ.get("CUSTOMERS_KEY_ID"), os.environ.get("CUSTOMERS_AUDIENCE")
        return cls(key, key_id, audience or "customers-api")

    def sign(self, method, target, body=b""):
        """The Api-Signature of a request; its target is the path and the query as they are sent."""
        path, _, query = target.partition("?")
        now = int(time.time())
        claims = {
            "aud": self.audience, "iat": now, "exp": now + LIFETIME_SECONDS, "jti": str(uuid.uuid4()),
            "method": method, "path": path,
        }
        params = {}
        for name, value in parse_qsl(query, keep_blank_values=True):
            params.setdefault(name, []).append(value)
        if params:
            claims["queryParams"] = {name: values if values[1:] else values[0] for name, values in params.items()}
        if body:
            claims["bodyHash"] = hashlib.sha256(body).hexdigest()
        header = {"alg": self._algorithm, "typ": "JWT", "kid": self.key_id}
        message = f"{_part(header)}.{_part(claims)}"
        r, s = decode_dss_signature(self._key.sign(message.encode(), ec.ECDSA(self._hash)))
        return f"{message}.{_base64url(r.to_bytes(self._size, 'big') + s.to_bytes(self._size, 'big'))}"


class Signing:
    """What is done around each request: its signature, and If-Match, so that no update is lost.

    The entity tag of what was read or written last goes with the next change of it that has no precondition of its own.
    If somebody else changed it meanwhile, the answer is 412: read it again. `if_match=False` turns this off.
    """

    def __init__(self, signer=None, if_match=True, remembered=1000):
        self.signer, self._if_match, self._remembered = signer or Signer.from_environment(), if_match, remembered
        self._tags = OrderedDict()

    def prepare(self, method, url, target, headers, body):
        tag = self._tags.get(url.partition("?")[0])
        if tag and method in ("PUT", "DELETE") and not ("If-Match" in headers or "If-None-Match" in headers):
            headers["If-Match"] = tag
        headers["Api-Signature"] = self.signer.sign(method, target, body)

    def note(self, method, url, status, headers):
        url = url.partition("?")[0]
        if "ETag" in headers and self._if_match:
            self._tags[url] = headers["ETag"]
            self._tags.move_to_end(url)
            if len(self._tags) > self._remembered:
                self._tags.popitem(last=False)
        elif status == 404 or method == "DELETE" and status == 204:
            self._tags.pop(url, None)


def pause(attempt, headers=()):
    """How many seconds to wait after this attempt."""
    after = headers["Retry-After"] if "Retry-After" in headers else ""
    return min(int(after) if after.isdigit() else attempt, WAIT_SECONDS_MAX)


def resend(attempts, send, lost):
    """Sends until there is an answer that counts."""
    for attempt in range(1, attempts + 1):
        try:
            response = send()
            if attempt == attempts or response.status_code not in SENT_AGAIN:
                return response
            seconds = pause(attempt, response.headers)
        except lost:
            if attempt == attempts:
                raise
            seconds = pause(attempt)
        time.sleep(seconds)
