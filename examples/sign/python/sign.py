"""Sends one signed request: METHOD PATH [QUERY] [BODY-FILE], path and query percent-encoded."""

import hashlib
import json
import os
import sys
import time
import uuid
from base64 import urlsafe_b64encode
from http.client import HTTPException
from urllib.error import HTTPError
from urllib.parse import parse_qs, urlsplit
from urllib.request import Request, urlopen

import jwt
from cryptography.hazmat.primitives.serialization import load_pem_private_key


def thumbprint(key):
    """RFC 7638: the SHA-256 of the public key as a JWK with its required members, sorted, without white space."""
    jwk = jwt.algorithms.ECAlgorithm.to_jwk(key.public_key(), as_dict=True)
    required = {name: jwk[name] for name in ("crv", "kty", "x", "y")}
    digest = hashlib.sha256(json.dumps(required, separators=(",", ":")).encode()).digest()
    return urlsafe_b64encode(digest).rstrip(b"=").decode()


def sign(method, path, query, body):
    with open(os.environ["CUSTOMERS_KEY"], "rb") as file:
        key = load_pem_private_key(file.read(), None)
    now = int(time.time())
    claims = {"aud": "customers-api", "iat": now, "exp": now + 300, "jti": str(uuid.uuid4()), "method": method, "path": path}
    if query:
        params = parse_qs(query, keep_blank_values=True)
        claims["queryParams"] = {name: values[0] if len(values) == 1 else values for name, values in params.items()}
    if body:
        claims["bodyHash"] = hashlib.sha256(body).hexdigest()
    algorithm = {"secp384r1": "ES384", "secp256r1": "ES256"}[key.curve.name]
    kid = os.environ.get("CUSTOMERS_KEY_ID") or thumbprint(key)
    return jwt.encode(claims, key, algorithm, headers={"kid": kid})


def send(method, path, query, body):
    """Sends the same signed request again after 500, 503 or a lost answer: the service carries it out at most once."""
    url = os.environ["CUSTOMERS_URL"].rstrip("/") + path
    headers = {"Api-Signature": sign(method, urlsplit(url).path, query, body)}
    if body:
        headers["Content-Type"] = "application/json"
    request = Request(f"{url}?{query}" if query else url, body or None, headers, method=method)
    for attempt in range(1, 6):
        try:
            with urlopen(request, timeout=30) as answer:
                return answer.status, answer.read()
        except HTTPError as answer:
            if attempt == 5 or answer.code not in (500, 503):
                return answer.code, answer.read()
        except (OSError, HTTPException):
            if attempt == 5:
                raise
        time.sleep(attempt)


method, path, query, file = (sys.argv[1:] + ["", ""])[:4]
status, text = send(method, path, query, open(file, "rb").read() if file else b"")
print(status, text.decode(), sep="\n")
sys.exit(not 200 <= status < 300)
