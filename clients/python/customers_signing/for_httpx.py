"""For httpx, and clients that are generated on top of it: `httpx.Client(**arguments())`."""

import asyncio

import httpx

from . import ATTEMPTS, SENT_AGAIN, Signing, pause, resend


class Auth(httpx.Auth):
    """Signs each request."""

    requires_request_body = True

    def __init__(self, signing=None):
        self.signing = signing or Signing()

    def auth_flow(self, request):
        method, url = request.method, str(request.url)
        self.signing.prepare(method, url, request.url.raw_path.decode(), request.headers, request.content)
        response = yield request
        self.signing.note(method, url, response.status_code, response.headers)


class Transport(httpx.BaseTransport, httpx.AsyncBaseTransport):
    """Sends a request again, as it is, if its answer was lost or says so. It takes what httpx.HTTPTransport takes."""

    def __init__(self, attempts=ATTEMPTS, **options):
        self.attempts = attempts
        self._sync, self._async = httpx.HTTPTransport(**options), httpx.AsyncHTTPTransport(**options)

    def handle_request(self, request):
        def send():
            response = self._sync.handle_request(request)
            response.read()
            return response

        return resend(self.attempts, send, httpx.TransportError)

    async def handle_async_request(self, request):
        for attempt in range(1, self.attempts + 1):
            try:
                response = await self._async.handle_async_request(request)
                await response.aread()
                if attempt == self.attempts or response.status_code not in SENT_AGAIN:
                    return response
                seconds = pause(attempt, response.headers)
            except httpx.TransportError:
                if attempt == self.attempts:
                    raise
                seconds = pause(attempt)
            await asyncio.sleep(seconds)

    def close(self):
        self._sync.close()

    async def aclose(self):
        await self._async.aclose()


def arguments(signing=None, **options):
    """What httpx.Client and httpx.AsyncClient take."""
    return {"auth": Auth(signing), "transport": Transport(**options)}
