#!/usr/bin/env python3
"""Deploys infra/edge/template.yaml to the emulator, as far as it goes, and looks at what CloudFront sends on.

    python infra/emulator/edge.py        deploy.py does the same as one of its steps

The emulator has CloudFront's way of a request, and no rule of WAF and no CloudFront-Viewer-Address. In place of the API there is an origin that
remembers what it got.
"""

import contextlib
import functools
import http.client
import http.server
import json
import logging
import os
import sys
import threading

from connection import equal
from emulator import BUCKET, Emulator, Stack
from omissions import omissions_are_needed
from template import OMISSIONS, ROOT, reduced  # puts infra/deployment into the path

from edge_template import GIVEN, read

NEXT_SECRET = "bmV4dC1zZWNyZXQtbmV4dC1zZWNyZXQtbmV4dC1zZWM="
CHALLENGE = 'Bearer resource_metadata="https://connect.amble.test/.well-known/oauth-protected-resource/api/mcp/server"'


def requests_pass_through_the_edge(emulator):
    """Deploys the edge before an origin of its own, sends requests through it, changes its secret, and deletes it."""
    with Origin() as origin:
        stack = Stack(emulator, "amble-connect-edge")
        parameters = {**GIVEN, "ApiAddress": "127.0.0.1", "OriginPort": str(origin.server_port)}
        template, omitted = deployable()
        stack.create(template, parameters)
        resources = read()["Resources"]
        equal(sorted(resources.keys() - stack.resources().keys()), sorted(omitted), "what is not deployed")
        print(f"{len(resources) - len(omitted)} of {len(resources)} resources are deployed; omitted: {', '.join(omitted)}")

        listed = {(entry["kind"], entry["property"]) for entry in OMISSIONS["edge"]["ignored"]}
        equal(sorted(listed ^ stack.ignored()), [], "what is ignored and not listed, or listed and not ignored")
        distribution_has_its_rules(emulator, stack)
        host = stack.output("Address")
        send = functools.partial(viewer, emulator, host)
        everything_arrives(origin, send, host)
        documents_are_fetched_without_what_is_personal(origin, send, host)
        equal(send("GET", "/oauth/authorize", scheme="http").status, 403, "the answer in clear")
        equal(send("POST", "/.well-known/jwks.json").status, 403, "the answer to a POST for a document")

        parameters["OriginSecret"] = NEXT_SECRET
        stack.update(template, parameters)
        send("GET", "/admin")
        equal(origin.last["headers"]["x-origin-verify"], NEXT_SECRET, "the secret after its change")
        stack.delete()
        omissions_are_needed(OMISSIONS["edge"], emulator, deployable, parameters, request_gets_through)


def distribution_has_its_rules(emulator, stack):
    (acl,) = emulator.client("wafv2").list_web_acls(Scope="CLOUDFRONT")["WebACLs"]
    rules = emulator.client("wafv2").get_web_acl(Scope="CLOUDFRONT", Id=acl["Id"], Name=acl["Name"])["WebACL"]["Rules"]
    equal([rule["Name"] for rule in rules], ["hosted-clients", "sources"], "the rules")
    config = emulator.client("cloudfront").get_distribution_config(Id=stack.output("DistributionId"))["DistributionConfig"]
    equal(config["WebACLId"], acl["ARN"], "the rules of the distribution")


def everything_arrives(origin, send, host):
    """Method, path, query, headers, cookies and body, and the secret; and the answer comes back as it was given."""
    headers = {"authorization": "Bearer made-up", "cookie": "a=1; b=2", "content-type": "application/json", "mcp-method": "tools/list", "origin": "https://claude.ai", "x-origin-verify": "forged", "user-agent": "Claude-User"}
    answer = send("POST", "/api/mcp/server/acme?state=%26&state=2", headers, b'{"jsonrpc":"2.0"}')
    equal((answer.status, answer.headers["www-authenticate"], answer.headers["cache-control"]), (401, CHALLENGE, "no-store"), "the answer to the client")
    got = origin.last
    equal((got["method"], got["path"], got["body"]), ("POST", "/api/mcp/server/acme?state=%26&state=2", '{"jsonrpc":"2.0"}'), "what arrives")
    expected = {**headers, "x-origin-verify": GIVEN["OriginSecret"], "host": host}
    equal({name: got["headers"].get(name) for name in expected}, expected, "the headers that arrive")


def documents_are_fetched_without_what_is_personal(origin, send, host):
    send("GET", "/.well-known/oauth-authorization-server?x=1", {"authorization": "Bearer made-up", "cookie": "a=1"})
    got = origin.last
    equal(got["path"], "/.well-known/oauth-authorization-server", "the document that is fetched")
    equal({name: got["headers"].get(name) for name in ("host", "x-origin-verify", "authorization", "cookie")}, {"host": host, "x-origin-verify": GIVEN["OriginSecret"], "authorization": None, "cookie": None}, "the headers that it is fetched with")


def request_gets_through(stack):
    """To the origin, which refuses it."""
    equal(viewer(stack.emulator, stack.output("Address"), "GET", "/admin").status, 401, "the answer to a request")


def deployable(kept=None):
    """The template as the emulator can deploy it, and the resources that it lacks. The entry `kept` is not applied."""
    template = json.loads(json.dumps(read()))
    template["Parameters"]["OriginPort"] = {"Type": "String"}
    return reduced(template, OMISSIONS["edge"], kept)


def viewer(emulator, host, method, path, headers=None, body=None, scheme="https"):
    """What a client gets that sends a request to the distribution."""
    connection = http.client.HTTPConnection("127.0.0.1", emulator.port, timeout=10)
    with contextlib.closing(connection):
        connection.request(method, path, body, {"host": host, "x-forwarded-proto": scheme, **(headers or {})})
        answer = connection.getresponse()
        answer.body = answer.read()
        return answer


class Origin(http.server.ThreadingHTTPServer):
    """In place of the API: refuses everything as the MCP server does, and remembers the last request."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.last = None

    def __enter__(self):
        threading.Thread(target=self.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.shutdown()
        self.server_close()


class Handler(http.server.BaseHTTPRequestHandler):
    """Answers every method alike."""

    def answer(self):
        body = self.rfile.read(int(self.headers.get("content-length", 0))).decode()
        self.server.last = {"method": self.command, "path": self.path, "headers": {name.lower(): value for name, value in self.headers.items()}, "body": body}
        self.send_response(401)
        for name, value in {"www-authenticate": CHALLENGE, "cache-control": "no-store", "content-length": "0"}.items():
            self.send_header(name, value)
        self.end_headers()

    do_GET = do_POST = do_DELETE = do_OPTIONS = answer

    def log_message(self, *_):
        """Nothing: a failed comparison prints what arrived."""


def main():
    logging.disable(logging.WARNING)
    os.environ["NO_PROXY"] = os.environ["no_proxy"] = "127.0.0.1,localhost"
    target = ROOT / "target"
    emulator = Emulator(target / "ministack/bin/python", target / "ministack-unread.jsonl")
    with emulator.running(target / "ministack.log"):
        emulator.client("s3").create_bucket(Bucket=BUCKET)
        requests_pass_through_the_edge(emulator)


if __name__ == "__main__":
    sys.exit(main())
