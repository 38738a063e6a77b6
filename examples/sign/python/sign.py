"""Sends one signed request: METHOD PATH [QUERY] [BODY-FILE], path and query percent-encoded."""

import os
import sys

import httpx
from customers_signing import for_httpx

method, path, query, file = (sys.argv[1:] + ["", ""])[:4]
url = os.environ.get("CUSTOMERS_URL", "http://127.0.0.1:8080").rstrip("/") + path
body = open(file, "rb").read() if file else None
headers = {"Content-Type": "application/json"} if body else {}
with httpx.Client(**for_httpx.arguments(), timeout=30) as client:
    answer = client.request(method, f"{url}?{query}" if query else url, content=body, headers=headers)
print(answer.status_code, answer.text, sep="\n")
sys.exit(not answer.is_success)
