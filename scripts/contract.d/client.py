"""Puts, reads, lists and deletes customers through the generated Python client, signed by clients/python.

Usage: client.py BASE_URL KEY
"""

import sys
from datetime import date
from pathlib import Path
from urllib.parse import quote, urljoin

import customers_client as api
import urllib3
from customers_client.rest import ApiException

from customers_signing import Signer


class SigningPool(urllib3.PoolManager):
    """Signs a request when it is ready to be sent."""

    def __init__(self, signer):
        super().__init__()
        self.signer = signer

    def urlopen(self, method, url, redirect=True, **request):
        body = (request.get("body") or "").encode()
        signature = self.signer.sign(method, urllib3.util.parse_url(url).request_uri, body)
        headers = {**request.pop("headers"), "Api-Signature": signature}
        return super().urlopen(method, url, redirect, headers=headers, **request)


def refused(status, call, *arguments, **options):
    """The error answer of a call that must be refused."""
    try:
        call(*arguments, **options)
    except ApiException as exception:
        assert exception.status == status, f"{exception.status} instead of {status}: {exception.body}"
        has_content = status != 304 and call.__name__ != "head_customer"
        assert isinstance(exception.data, api.Error) if has_content else exception.data is None, exception.body
        return exception.data
    raise AssertionError(f"accepted, instead of {status}")


base_url, key = sys.argv[1:]
unsigned = api.CustomersApi(api.ApiClient(api.Configuration(host=base_url)))
client = api.CustomersApi(api.ApiClient(api.Configuration(host=base_url)))
client.api_client.rest_client.pool_manager = SigningPool(Signer(Path(key).read_bytes(), Path(key).stem))

residence = api.StreetAddress(
    street="100 Example Avenue", city="Sampleville", post_code="90001", state="CA", country=api.CountryCode.US
)
passport = api.CustomerIdentity(
    issuing_country=api.CountryCode.DE, id_number="X00000001", id_type=api.IDType.PASSPORT, issued_date=date(2024, 4, 16)
)
sam = api.CustomerInput(
    full_name=api.FullName(first_name="Sam", last_name="Sämple", middle_name="Quinn"),
    date_of_birth=date(1985, 11, 5),
    identities=[passport],
    primary_residence=residence,
)
first, second = "python 1/ü+%", "python-2"

created = client.put_customer_with_http_info(first, sam, if_none_match="*")
assert created.status_code == 201
location = urljoin(f"{base_url}/customers/{quote(first, safe='')}", created.headers["location"])
assert location.startswith(f"{base_url}/customers/python%201"), location
assert client.put_customer_with_http_info(second, sam).status_code == 201
assert refused(412, client.put_customer, first, sam, if_none_match="*").type == api.ErrorType.PRECONDITIONFAILED
sam.full_name.middle_name = None
updated = client.put_customer_with_http_info(first, sam, if_match=created.headers["etag"])
assert updated.status_code == 204 and updated.headers["etag"] != created.headers["etag"]

customer = client.get_customer(first)
assert customer.customer_id == first and customer.created.utcoffset() is not None
assert customer.to_dict().items() >= sam.to_dict().items(), customer
refused(304, client.get_customer, first, if_none_match=updated.headers["etag"])
head = client.head_customer_with_http_info(first)
assert head.status_code == 200 and head.headers["etag"] == updated.headers["etag"] and head.data is None
assert client.head_customers_with_http_info().status_code == 200

page = client.list_customers(page_size=1, sort_direction=api.SortDirection.ASC)
rest = client.list_customers(page_size=1, page_token=page.page_token, sort_direction=api.SortDirection.ASC)
assert [it.customer_id for it in page.items + rest.items] == [first, second] and rest.page_token is None

sam.primary_residence.state = "California"
error = refused(400, client.put_customer, first, sam)
assert error.action == "putCustomer" and error.request_extension.body[0].var_field == "PrimaryResidence.State", error
error = refused(401, unsigned.get_customer, first)
assert error.type == api.ErrorType.UNAUTHORIZED and "Api-Signature" in error.detail, error

for customer_id in first, second:
    assert client.delete_customer_with_http_info(customer_id).status_code == 204
assert refused(404, client.get_customer, first).type == api.ErrorType.RESOURCENOTFOUND
assert refused(404, client.head_customer, first) is None
assert client.list_customers().items == []
