"""What Schemathesis must know about this service, beyond its contract.

Without CONTRACT_KEYS the server is a sandbox, and requests carry no signature. With it, a folder with the keys of two
accounts, every request is signed as it is sent.
"""

import os
from pathlib import Path

import requests
import schemathesis
from hypothesis import strategies
from schemathesis.auths import RequestsAuth
from schemathesis.wfc.escalation import EscalatingAuthProvider

from customers_signing import Signer

KEYS = os.environ.get("CONTRACT_KEYS")
SIGNATURE = "Api-Signature"
ENTITY_TAGS = r'\A(\*|(,[ \t]*){0,2}(W/)?"[!#-~]{0,40}"([ \t]*,([ \t]*(W/)?"[!#-~]{0,40}")?){0,3})\Z'

schemathesis.openapi.format("entity-tags", strategies.from_regex(ENTITY_TAGS))


@schemathesis.hook
def before_load_schema(context, raw_schema):
    """Tells in Schemathesis's own terms what it cannot read from the contract."""
    for operations in raw_schema["paths"].values():
        for operation in operations.values():
            # No made-up text is a signature. Who signs is known to the checks of authorization if it is a scheme.
            operation["parameters"] = [it for it in operation["parameters"] if it["name"] != SIGNATURE]
            # Its coverage phase puts letters and digits alone into a header, unless a format says otherwise.
            for parameter in operation["parameters"]:
                if "pattern" in parameter["schema"] and parameter["in"] == "header":
                    parameter["schema"]["format"] = "entity-tags"
    del raw_schema["servers"]
    if KEYS:
        scheme = {"type": "apiKey", "in": "header", "name": SIGNATURE}
        raw_schema["components"]["securitySchemes"] = {SIGNATURE: scheme}
        raw_schema["security"] = [{SIGNATURE: []}]


class Signature(requests.auth.AuthBase):
    """Signs a request when it is ready to be sent."""

    def __init__(self, signer):
        self.signer = signer

    def __call__(self, request):
        body = request.body or b""
        body = body.encode() if isinstance(body, str) else body
        request.headers[SIGNATURE] = self.signer.sign(request.method, request.path_url, body)
        return request


@schemathesis.hook
def after_load_schema(context, schema):
    """Signs as the first account; the other one is there to see that it reaches nothing of the first."""
    if KEYS:
        keys = sorted(Path(KEYS).glob("*.pem"))
        names = [key.stem for key in keys]
        providers = [RequestsAuth(Signature(Signer(key.read_bytes(), key.stem))) for key in keys]
        schema.auth.providers.append(
            EscalatingAuthProvider(providers, names, peers=tuple(names), pinned=names[0])
        )


etags = {}  # The current entity tag of each customer, by the customer's path.
tokens = {}  # A page token that the service gave out, by the path of its list.


@schemathesis.hook
def after_call(context, case, response):
    """Remembers what a later request may name."""
    etag, path = response.headers.get("etag"), case.formatted_path
    if etag:
        etags[path] = etag[0]
    elif case.method == "DELETE" and response.status_code == 204:
        etags.pop(path, None)
    elif case.method == "GET" and response.status_code == 200 and "PageToken" in response.json():
        tokens.setdefault(path, response.json()["PageToken"])


@schemathesis.hook
def before_call(context, case, kwargs):
    """Lets valid requests name versions and pages that there are; made-up ones of the same form are refused."""
    if case.meta is None or not case.meta.generation.mode.is_positive:
        return
    headers, query = case.headers or {}, case.query or {}
    if "If-Match" in headers:
        headers.pop("If-None-Match", None)  # Of a PUT: the two never hold together.
        etag = etags.get(case.formatted_path)
        if etag is None:
            headers.pop("If-Match")
        elif headers["If-Match"] != "*":
            headers["If-Match"] += f", {etag}"
    if "PageToken" in query:
        if token := tokens.get(case.formatted_path):
            query["PageToken"] = token
        else:
            query.pop("PageToken")
    if "PageToken" in query:
        query.pop("SortDirection", None)  # The token's own goes on, and any other is refused.
        query.pop("From", None)  # It goes on behind the token.
    if "Wait" in query:
        query["Wait"] = min(int(query["Wait"]), 1)  # To wait longer proves nothing more.
