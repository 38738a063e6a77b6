"""Keeps an exact copy of all customers of an account, as JSON in a file: python follow.py FILE. It follows until it is ended."""

import hashlib
import json
import os
import sys
import time
import uuid
from base64 import urlsafe_b64encode
from urllib.error import HTTPError
from urllib.parse import parse_qsl, quote, urlencode, urlsplit
from urllib.request import Request, urlopen

import jwt
from cryptography.hazmat.primitives.serialization import load_pem_private_key

URL = os.environ["CUSTOMERS_URL"].rstrip("/")
KEY = load_pem_private_key(open(os.environ["CUSTOMERS_KEY"], "rb").read(), None)


def sign(path, query):
    public = jwt.algorithms.ECAlgorithm.to_jwk(KEY.public_key(), as_dict=True)
    thumbprint = json.dumps({name: public[name] for name in ("crv", "kty", "x", "y")}, separators=(",", ":")).encode()
    kid = urlsafe_b64encode(hashlib.sha256(thumbprint).digest()).rstrip(b"=").decode()
    claims = {"aud": "customers-api", "iat": int(time.time()), "exp": int(time.time()) + 300, "jti": str(uuid.uuid4())}
    claims |= {"method": "GET", "path": path} | ({"queryParams": dict(parse_qsl(query))} if query else {})
    algorithm = {"secp384r1": "ES384", "secp256r1": "ES256"}[KEY.curve.name]
    return jwt.encode(claims, KEY, algorithm, headers={"kid": os.environ.get("CUSTOMERS_KEY_ID") or kid})


def get(path, **parameters):
    """The status and the body of an answer. What may pass is tried again."""
    query = urlencode(parameters)
    while True:
        headers = {"Api-Signature": sign(urlsplit(URL).path + path, query)}
        try:
            with urlopen(Request(f"{URL}{path}?{query}".rstrip("?"), headers=headers), timeout=30) as answer:
                return answer.status, json.load(answer)
        except OSError as error:
            if isinstance(error, HTTPError) and error.code in (404, 410):
                return error.code, None
            print(error, file=sys.stderr)
        time.sleep(1)


while True:  # Begin anew.
    token, copy, page = get("/events", From="Newest")[1]["PageToken"], {}, {"SortDirection": "ASC"}
    while page:
        listed = get("/customers", PageSize=100, **page)[1]
        copy.update((customer["CustomerID"], customer) for customer in listed["Items"])
        page = {"PageToken": listed["PageToken"]} if "PageToken" in listed else None
    while token:
        with open(sys.argv[1] + ".new", "w", encoding="utf-8") as file:
            json.dump({"PageToken": token, "Customers": copy}, file)
        os.replace(sys.argv[1] + ".new", sys.argv[1])
        status, followed = get("/events", PageToken=token, PageSize=100, Wait=10)
        for customer_id in {event["CustomerID"] for event in followed["Items"]} if status == 200 else ():
            copy[customer_id] = get("/customers/" + quote(customer_id, safe=""))[1]
        copy, token = {name: found for name, found in copy.items() if found}, followed and followed["PageToken"]
