"""Everything in events/, as HTTP requests to the deployment. The table in tests/events.rs says how each is answered.

Some events cannot be sent as a request, and go to the function itself: those with a malformed host, as the host says which API
is meant, and those with a space in the query or a control character, which no HTTP server has to take.
"""

import base64
import http.client
import json
import re
from urllib.parse import quote, urlsplit

from connection import equal
from template import OMISSIONS, ROOT

ANSWER = re.compile(r'^    \("([\w/-]+)", (\d+), "(\w*)"\),$', re.MULTILINE)
HOST, QUERY = re.compile(r"[a-z0-9.-]+"), re.compile(r"[!-~]*")
REFUSAL = b'{"message": "CORS not configured"}'
OF_THE_GATEWAY = {"host", "content-length", "x-amzn-trace-id", "x-forwarded-for", "x-forwarded-port", "x-forwarded-proto"}
# The function of a folder, where they differ.
FUNCTIONS = {"feed": "membership"}


def replay(stack):
    """Sends each and compares the answer. Returns how many came through the API, and how many there are."""
    unrouted = {entry["method"] for entry in OMISSIONS["unrouted"]}
    answers = {event: (int(status), error) for event, status, error in ANSWER.findall((ROOT / "tests/events.rs").read_text())}
    files = {f"{path.parent.name}/{path.stem}": json.loads(path.read_text()) for path in sorted((ROOT / "events").glob("*/*.json")) if path.parent.name != "audit"}
    equal(sorted(answers), sorted(files), "what tests/events.rs knows")
    sent = 0
    for name, event in files.items():
        status, body = send(stack.emulator.issuer, event) if is_request(event) else (None, None)
        if event["requestContext"]["http"]["method"] in unrouted:
            equal(body, REFUSAL, f"the answer to {name}, which is not routed")
            status = None
        sent += status is not None
        if status is None:
            answer = stack.invoke(FUNCTIONS.get(name.split("/")[0], name.split("/")[0]), event)
            status, body = answer["statusCode"], answer.get("body", "")
        equal((status, error(body)), answers[name], f"the answer to {name} ({body[:500]!r})")
    return sent, len(files)


def is_request(event):
    headers = event["headers"]
    return QUERY.fullmatch(event["rawQueryString"]) and HOST.fullmatch(headers["host"]) and "".join(headers.values()).isprintable()


def send(address, event):
    headers = {name: value for name, value in event["headers"].items() if name not in OF_THE_GATEWAY}
    if "cookies" in event:
        headers["cookie"] = "; ".join(event["cookies"])
    body = event.get("body", "").encode()
    body = base64.b64decode(body) if event["isBase64Encoded"] else body
    path = quote(event["rawPath"]) + ("?" + event["rawQueryString"] if event["rawQueryString"] else "")
    connection = http.client.HTTPConnection(urlsplit(address).netloc, timeout=30)
    connection.request(event["requestContext"]["http"]["method"], path, body or None, headers)
    answer = connection.getresponse()
    return answer.status, answer.read()


def error(body):
    """The code of an OAuth error; JSON-RPC has an object there."""
    try:
        code = json.loads(body).get("error")
    except (ValueError, AttributeError):
        return ""
    return code if isinstance(code, str) else ""
