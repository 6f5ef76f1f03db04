"""A client, and a person with a browser. The steps of a connection are those of tests/end_to_end.rs."""

import base64
import hashlib
import secrets
from html.parser import HTMLParser
from urllib.parse import parse_qsl, urljoin, urlsplit

import requests

CALLBACK = "https://claude.ai/api/mcp/auth_callback"
SCOPES = "tools:execute skills:read views:read"


class Connector:
    """An MCP client that knows nothing but the URL: it is challenged, reads the documents and registers."""

    def __init__(self, url):
        self.url, self.authorization = url, {}
        challenged = expect(self.call("tools/list"), 401)
        challenge = dict(part.split("=", 1) for part in challenged.headers["www-authenticate"].removeprefix("Bearer ").split(", "))
        resource = expect(requests.get(challenge["resource_metadata"].strip('"'))).json()
        equal(resource["resource"], url, "the resource")
        (issuer,) = resource["authorization_servers"]
        self.server = expect(requests.get(f"{issuer}/.well-known/oauth-authorization-server")).json()
        equal(self.server["issuer"], issuer, "the issuer")
        metadata = {"client_name": "Claude", "redirect_uris": [CALLBACK], "grant_types": ["authorization_code", "refresh_token"], "response_types": ["code"], "token_endpoint_auth_method": "none"}
        self.client = expect(requests.post(self.server["registration_endpoint"], json=metadata), 201).json()["client_id"]

    @classmethod
    def with_token(cls, url, token):
        """One that needs no connection: a script with an API key."""
        script = cls.__new__(cls)
        script.url, script.authorization = url, {"authorization": f"Bearer {token}"}
        return script

    def connect(self, email, password, tenant):
        """The person signs in, chooses the tenant and approves; the code becomes tokens."""
        verifier, state = secrets.token_urlsafe(32), secrets.token_urlsafe(16)
        challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
        browser = requests.Session()
        request = {"response_type": "code", "client_id": self.client, "redirect_uri": CALLBACK, "state": state, "scope": SCOPES, "code_challenge": challenge, "code_challenge_method": "S256", "resource": self.url}
        page = expect(browser.get(self.server["authorization_endpoint"], params=request))
        page = expect(submit(browser, page, email=email, password=password))
        back = expect(submit(browser, page, follow=False, tenant=tenant, decision="approve"), 303).headers["location"]
        answer = dict(parse_qsl(urlsplit(back).query))
        equal((back.split("?")[0], answer["state"], answer["iss"]), (CALLBACK, state, self.server["issuer"]), "where the approval leads")
        self.take_tokens(grant_type="authorization_code", code=answer["code"], redirect_uri=CALLBACK, code_verifier=verifier)

    def refresh(self):
        self.take_tokens(grant_type="refresh_token", refresh_token=self.refresh_token)

    def take_tokens(self, **form):
        tokens = expect(requests.post(self.server["token_endpoint"], {"client_id": self.client, "resource": self.url, **form})).json()
        equal(tokens["scope"], SCOPES, "the scope")
        self.authorization, self.refresh_token = {"authorization": f"Bearer {tokens['access_token']}"}, tokens["refresh_token"]

    def revoke(self):
        """The very next call is refused, and so is a refresh."""
        expect(requests.post(self.server["revocation_endpoint"], {"client_id": self.client, "token": self.refresh_token}))
        expect(self.call("tools/list"), 401)
        refused = requests.post(self.server["token_endpoint"], {"client_id": self.client, "grant_type": "refresh_token", "refresh_token": self.refresh_token})
        equal(expect(refused, 400).json()["error"], "invalid_grant", "the error")

    def call(self, method, **params):
        headers = {"accept": "application/json, text/event-stream", "mcp-protocol-version": "2025-11-25", **self.authorization}
        return requests.post(self.url, json={"jsonrpc": "2.0", "id": 1, "method": method, "params": params}, headers=headers)

    def tools(self):
        return {tool["name"] for tool in expect(self.call("tools/list")).json()["result"]["tools"]}

    def tool(self, name, **arguments):
        result = expect(self.call("tools/call", name=name, arguments=arguments)).json()["result"]
        equal(result.get("isError", False), False, f"{name}: {result}")
        return result


class Form(HTMLParser):
    """The form of a page that has a field of that name, as a browser would send it."""

    def __init__(self, page, field):
        super().__init__()
        self.forms = []
        self.feed(page)
        self.action, self.fields = next(((action, fields) for action, fields, names in self.forms if field in names), (None, None))

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        if tag == "form":
            self.forms.append((attributes["action"], {}, set()))
        elif self.forms and "name" in attributes:
            _, fields, names = self.forms[-1]
            names.add(attributes["name"])
            if tag == "input" and (attributes.get("type") not in {"checkbox", "radio"} or "checked" in attributes):
                fields[attributes["name"]] = attributes.get("value", "")


def submit(browser, page, follow=True, **fields):
    form = Form(page.text, next(reversed(fields)))
    if form.action is None:
        raise AssertionError(f"no form with {list(fields)} at {page.url}: {page.text}")
    return browser.post(urljoin(page.url, form.action), {**form.fields, **fields}, headers={"origin": "null", "sec-fetch-site": "same-origin"}, allow_redirects=follow)


def expect(answer, status=200):
    equal(answer.status_code, status, f"the status of {answer.request.method} {answer.url} ({answer.text[:500]})")
    return answer


def equal(found, expected, what):
    if found != expected:
        raise AssertionError(f"{what} is {found!r}, not {expected!r}")
