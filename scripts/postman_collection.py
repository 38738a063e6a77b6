#!/usr/bin/env python3
"""Makes the Postman collection in examples/postman from openapi.yaml and sign.js. Needs PyYAML.

    scripts/postman_collection.py          writes it
    scripts/postman_collection.py --check  fails if it is not up to date
"""

import json
import sys
from pathlib import Path

try:
    import yaml
except ImportError:
    sys.exit("scripts/postman_collection.py needs PyYAML: apt-get install python3-yaml, or pip install PyYAML")

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "examples/postman"
FILE = FOLDER / "customers-api.postman_collection.json"
SET_BY_THE_SCRIPT = "Api-Signature"
VARIABLES = {
    "baseUrl": ("http://127.0.0.1:8080", "The server, with its base path"),
    "privateKey": ("", "The private key (PKCS#8, PEM). Empty sends unsigned requests, to a sandbox. Never share its value"),
    "keyId": ("", "The id of the key; empty is its RFC 7638 thumbprint"),
    "audience": ("customers-api", "The server's --audience"),
}

contract = yaml.safe_load((ROOT / "openapi.yaml").read_text())


def resolved(node):
    """What a `$ref` points to, with the members beside it."""
    while "$ref" in node:
        target = contract
        for name in node["$ref"].removeprefix("#/").split("/"):
            target = target[name]
        node = {**target, **{name: value for name, value in node.items() if name != "$ref"}}
    return node


def value(parameter):
    schema = resolved(parameter["schema"])
    for found in (parameter.get("example"), schema.get("default"), *schema.get("enum", []), *schema.get("examples", [])):
        if found is not None:
            return str(found)
    return ""


def fields(parameters, place):
    """Optional parameters are there, but not sent until somebody ticks them."""
    for parameter in parameters:
        if parameter["in"] == place and parameter["name"] != SET_BY_THE_SCRIPT:
            field = {"key": parameter["name"], "value": value(parameter), "description": parameter["description"]}
            yield field if parameter["required"] else {**field, "disabled": True}


def body(operation):
    if "requestBody" not in operation:
        return {}
    (media_type, content), = operation["requestBody"]["content"].items()
    example = next(iter(content["examples"].values()))["value"]
    raw = json.dumps(example, indent=2, ensure_ascii=False)
    header = {"key": "Content-Type", "value": media_type}
    return {"header": [header], "body": {"mode": "raw", "raw": raw, "options": {"raw": {"language": "json"}}}}


def item(path, method, operation):
    parameters = [resolved(parameter) for parameter in operation["parameters"]]
    segments = [f":{part[1:-1]}" if part.startswith("{") else part for part in path.strip("/").split("/")]
    request = {"method": method.upper(), "description": operation["description"], "header": [], **body(operation)}
    request["header"] += fields(parameters, "header")
    request["url"] = {"raw": "/".join(["{{baseUrl}}", *segments]), "host": ["{{baseUrl}}"], "path": segments}
    for member, place in (("variable", "path"), ("query", "query")):
        if found := list(fields(parameters, place)):
            request["url"][member] = found
    return {"name": operation["summary"], "request": request}


def collection():
    info = contract["info"]
    script = (FOLDER / "sign.js").read_text()
    return {
        "info": {
            "name": info["title"],
            "description": info["description"],
            "version": info["version"],
            "schema": "https://schema.getpostman.com/json/collection/v2.1.0/collection.json",
        },
        "item": [
            item(path, method, operation)
            for path, operations in contract["paths"].items()
            for method, operation in operations.items()
            if method != "head"
        ],
        "event": [{"listen": "prerequest", "script": {"type": "text/javascript", "exec": script.splitlines()}}],
        "variable": [
            {"key": key, "value": value, "description": description} for key, (value, description) in VARIABLES.items()
        ],
    }


text = json.dumps(collection(), indent=2, ensure_ascii=False) + "\n"
if sys.argv[1:] == ["--check"]:
    if not FILE.exists() or FILE.read_text() != text:
        sys.exit(f"{FILE.relative_to(ROOT)} is not up to date: run scripts/postman_collection.py")
else:
    FILE.write_text(text)
