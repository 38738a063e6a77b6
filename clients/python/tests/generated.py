"""The package below a client that openapi-python-client made, in both of its ways to send."""

import asyncio
import os

from customers_client import Client
from customers_client.api.customers import delete_customer, get_customer, list_customers, put_customer
from customers_client.models import CustomerInput, Error, SortDirection

from customers_signing import for_httpx

BODY = CustomerInput.from_dict({
    "FullName": {"FirstName": "Zoë", "LastName": "Muster"}, "DateOfBirth": "1990-01-31", "Identities": [],
    "PrimaryResidence": {
        "Street": "Musterstrasse 1", "City": "Musterstadt", "PostCode": "1", "State": "Berlin", "Country": "DE",
    },
})


def client(url=os.environ["CUSTOMERS_URL"]):
    return Client(base_url=url, httpx_args=for_httpx.arguments())


def expect(status, answer):
    assert answer.status_code == status, f"{answer.status_code} instead of {status}: {answer.content}"
    return answer.parsed


mine, theirs = client(), client()
one = "generated +&%/Zoë?"
expect(201, put_customer.sync_detailed(one, client=mine, body=BODY))
assert expect(200, get_customer.sync_detailed(one, client=theirs)).customer_id == one
expect(204, put_customer.sync_detailed(one, client=theirs, body=BODY))
refused = expect(412, put_customer.sync_detailed(one, client=mine, body=BODY))
assert isinstance(refused, Error)
page = expect(200, list_customers.sync_detailed(client=mine, page_size=100, sort_direction=SortDirection.ASC))
assert one in [customer.customer_id for customer in page.items]
expect(404, get_customer.sync_detailed("nobody", client=mine))
expect(204, delete_customer.sync_detailed(one, client=theirs))


async def through_a_proxy_that_loses_answers():
    async with client(os.environ["LOSSY_URL"]) as lossy:
        expect(201, await put_customer.asyncio_detailed("generated-lost", client=lossy, body=BODY))
        expect(204, await delete_customer.asyncio_detailed("generated-lost", client=lossy))


asyncio.run(through_a_proxy_that_loses_answers())
