"""For requests: `session().get(...)`."""

import requests
from requests.adapters import HTTPAdapter

from . import ATTEMPTS, Signing, resend

LOST = (requests.ConnectionError, requests.Timeout, requests.exceptions.ChunkedEncodingError)
TIMEOUT_SECONDS = 30


class Auth(requests.auth.AuthBase):
    """Signs each request."""

    def __init__(self, signing=None):
        self.signing = signing or Signing()

    def __call__(self, request):
        if isinstance(request.body, str):
            request.body = request.body.encode()
        method, url, body = request.method, request.url, request.body or b""
        self.signing.prepare(method, url, request.path_url, request.headers, body)
        request.register_hook("response", lambda response, **_: self.signing.note(
            method, url, response.status_code, response.headers))
        return request


class Adapter(HTTPAdapter):
    """Sends a request again, as it is, if its answer was lost or says so."""

    def __init__(self, attempts=ATTEMPTS, **options):
        self.attempts = attempts
        super().__init__(**options)

    def send(self, request, stream=False, timeout=None, **options):
        def send():
            response = super(Adapter, self).send(request, stream, timeout or TIMEOUT_SECONDS, **options)
            response.content  # It is read here, so that one that breaks off is lost, too.
            return response

        return resend(self.attempts, send, LOST)


def session(signing=None, attempts=ATTEMPTS):
    """A session that signs."""
    made = requests.Session()
    made.auth = Auth(signing)
    for scheme in ("http://", "https://"):
        made.mount(scheme, Adapter(attempts))
    return made
