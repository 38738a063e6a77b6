"""The package by itself, with httpx (and its asynchronous client) and with requests."""

import asyncio
import os

import httpx

from customers_signing import Signer, Signing, for_httpx, for_requests

SERVER, LOSSY, NOBODY = (os.environ[name] for name in ("CUSTOMERS_URL", "LOSSY_URL", "NOBODY_URL"))
BODY = {
    "FullName": {"FirstName": "Zoë", "LastName": "Muster"}, "DateOfBirth": "1990-01-31", "Identities": [],
    "PrimaryResidence": {
        "Street": "Musterstrasse 1", "City": "Musterstadt", "PostCode": "1", "State": "Berlin", "Country": "DE",
    },
}


class Asynchronous:
    """An asynchronous client that is called as the others are."""

    def __init__(self, signing=None, **options):
        self.arguments = for_httpx.arguments(signing, **options)

    def request(self, *arguments, **options):
        async def send():
            # A client belongs to one event loop; what it remembers outlives it.
            async with httpx.AsyncClient(**{**self.arguments, "transport": for_httpx.Transport()}) as client:
                return await client.request(*arguments, **options)

        return asyncio.run(send())


CLIENTS = {
    "httpx": lambda *signing, **options: httpx.Client(**for_httpx.arguments(*signing, **options)),
    "asyncio": Asynchronous,
    "requests": for_requests.session,
}


def expect(client, status, method, url, **options):
    answer = client.request(method, url, **options)
    assert answer.status_code == status, f"{method} {url}: {answer.status_code} instead of {status}: {answer.text}"
    return answer


def raised(call):
    try:
        call()
    except Exception as error:
        return str(error) or type(error).__name__
    raise AssertionError("nothing was raised")


for name, make in CLIENTS.items():
    client = make()
    one = f"{SERVER}/customers/{name}%20+%26%25%2FZo%C3%AB%3F"
    expect(client, 201, "PUT", one, json=BODY)
    assert expect(client, 200, "GET", one).json()["FullName"]["FirstName"] == "Zoë"
    expect(client, 200, "GET", f"{SERVER}/customers?PageSize=%31&SortDirection=%41SC")
    expect(client, 400, "GET", f"{SERVER}/customers", params=[("Name", "a b+c&d=e%"), ("Name", "Müller\n"), ("Empty", "")])
    expect(client, 204, "DELETE", one)
    expect(client, 404, "GET", one)

    lost = f"{LOSSY}/customers/{name}-lost"
    expect(client, 201, "PUT", lost, json=BODY)
    expect(client, 204, "DELETE", lost)

    mine, theirs, one = make(), make(), f"{SERVER}/customers/{name}-versions"
    expect(mine, 201, "PUT", one, json=BODY)
    expect(mine, 204, "PUT", one, json=BODY)
    expect(theirs, 204, "PUT", one, json=BODY)
    expect(mine, 412, "PUT", one, json=BODY)
    expect(mine, 412, "DELETE", one)
    expect(mine, 204, "PUT", one, json=BODY, headers={"If-Match": "*"})
    expect(theirs, 200, "GET", one)
    expect(theirs, 204, "DELETE", one)
    expect(theirs, 201, "PUT", one, json=BODY, headers={"If-None-Match": "*"})
    expect(make(Signing(if_match=False)), 204, "PUT", one, json=BODY)
    if name != "asyncio":
        assert "refused" in raised(lambda: make(attempts=2).request("GET", NOBODY))

os.environ["CUSTOMERS_AUDIENCE"] = "another"
assert "aud is wrong" in expect(CLIENTS["httpx"](), 401, "GET", f"{SERVER}/customers").text
os.environ["CUSTOMERS_KEY_ID"] = "nobody"
assert "kid is not" in expect(CLIENTS["requests"](), 401, "GET", f"{SERVER}/customers").text
for file in "", "/no/such/file":
    os.environ["CUSTOMERS_KEY"] = file
    assert file or "CUSTOMERS_KEY" in raised(Signer.from_environment)
    raised(Signer.from_environment)
assert "P-384" in raised(lambda: Signer(
    "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f\n-----END PRIVATE KEY-----\n"))
