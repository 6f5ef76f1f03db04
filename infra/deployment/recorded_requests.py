"""What clients send: the requests of events/, and the same as other recorded clients send them."""

import base64
import json
from dataclasses import dataclass, field, replace
from pathlib import Path
from urllib.parse import parse_qsl, urlencode

EVENTS = Path(__file__).resolve().parents[2] / "events"
# The product tokens of clients that a rule could take for a bot: Claude's back end, Claude Code and other programs on Bun, and none at all.
AGENTS = {"from `python-httpx`": "python-httpx/0.28.1", "from Bun": "Bun/1.3.5", "without a user agent": None}
LOOPBACK = ["http://127.0.0.1:40522/callback", "http://localhost:54213/callback", "http://[::1]:61001/callback"]


@dataclass(frozen=True)
class Request:
    """A request as it reaches the edge."""

    path: str
    query: str = ""
    headers: dict = field(default_factory=dict)
    body: bytes = b""
    address: str = "203.0.113.7"
    at: float = 0


def kinds():
    """The requests by what they show."""
    as_recorded = [request for request in map(read, sorted(EVENTS.glob("*/*.json"))) if request]
    asking = [request for request in as_recorded if request.path == "/oauth/authorize" and "client_id" in request.query + request.body.decode("latin-1")]
    found = {"as recorded": as_recorded}
    for kind, agent in AGENTS.items():
        found[kind] = [replace(request, headers={**request.headers, "user-agent": agent} if agent else without(request.headers, "user-agent")) for request in as_recorded]
    found["to authorize, with a redirect to loopback"] = [changed(request, redirect_uri=address) for request in asking for address in LOOPBACK]
    found["to authorize, with a `state` of 4 KB"] = [changed(request, state="s" * 4096) for request in asking]
    found["to the MCP server, with a document of 64 KB"] = [with_document(request) for request in as_recorded if b'"tools/call"' in request.body]
    return found


def read(path):
    event = json.loads(path.read_text())
    if "requestContext" not in event or path.stem.startswith("unrouted-"):
        return None  # sent by CloudWatch Logs; or by nobody who means to get an answer
    body = event.get("body", "")
    body = base64.b64decode(body) if event["isBase64Encoded"] else body.encode()
    return Request(event["rawPath"], event["rawQueryString"], event["headers"], body)


def with_document(request):
    """The same call of a tool with a long text among its arguments."""
    call = json.loads(request.body)
    call["params"]["arguments"]["text"] = "d" * 65536
    return replace(request, body=json.dumps(call).encode())


def without(headers, name):
    return {key: value for key, value in headers.items() if key != name}


def changed(request, **parameters):
    """The same request with other parameters, in the query of a GET and in the form of a POST."""
    if request.body:
        form = parse_qsl(request.body.decode(), keep_blank_values=True)
        return replace(request, body=urlencode([*(pair for pair in form if pair[0] not in parameters), *parameters.items()]).encode())
    query = parse_qsl(request.query, keep_blank_values=True)
    return replace(request, query=urlencode([*(pair for pair in query if pair[0] not in parameters), *parameters.items()]))
