"""A deployment, as those see it who operate it, connect to it, and keep its product."""

import base64
import hmac
import json
import subprocess
import time

import requests

from connection import Connector, equal, expect
from emulator import ACCOUNT, REGION, archive
from template import OMISSIONS, ROOT

AMBLE = ROOT / "target/debug/amble"
EMAIL, PASSWORD, PUBLISHABLE_KEY = "ana@example.com", "correct horse battery staple", "sb_publishable_local"  # tests/fake_supabase.rs
TENANT, OWNER, MEMBER = "acme", "5c1f6b0a-3d0e-4c57-9f0e-8a1b2c3d4e01", "5c1f6b0a-3d0e-4c57-9f0e-8a1b2c3d4e02"  # infra/local/demo.yaml
MEMBERSHIP_SECRET = "whsec_" + "a" * 32


class Deployment:
    """A stack, and where people sign in."""

    def __init__(self, stack, sign_in):
        self.stack, self.sign_in = stack, sign_in
        self.issuer = stack.emulator.issuer
        self.parameters = {"SupabaseUrl": sign_in, "SupabasePublishableKey": PUBLISHABLE_KEY, "MembershipSecrets": MEMBERSHIP_SECRET}

    def serve_at_issuer(self):
        """Makes the issuer's host answer: by a custom domain like the template's, which leads to the API of this stack."""
        emulator, domain = self.stack.emulator, "127.0.0.1"
        gateway = emulator.client("apigatewayv2")
        if domain in {known["DomainName"] for known in emulator.all("apigatewayv2", "get_domain_names", "Items")}:
            gateway.delete_domain_name(DomainName=domain)
        certificate = f"arn:aws:acm:{REGION}:{ACCOUNT}:certificate/none"
        gateway.create_domain_name(DomainName=domain, DomainNameConfigurations=[{"CertificateArn": certificate, "EndpointType": "REGIONAL"}])
        gateway.create_api_mapping(DomainName=domain, ApiId=self.stack.resources()["Api"][1], Stage="$default")

    def apply(self):
        """Gives it the tenants of the local system, and lets the person into one."""
        answer = requests.post(f"{self.sign_in}/auth/v1/token", params={"grant_type": "password"}, json={"email": EMAIL, "password": PASSWORD}, headers={"apikey": PUBLISHABLE_KEY})
        person = expect(answer).json()["user"]["id"]
        applied = self.amble("apply", "--yes", "--var", "TOOLS_AT=https://tools.example.com", "infra/local/demo.yaml")
        self.amble("member", "add", person, "--tenant", TENANT, "--role", "owner")
        return applied.strip().splitlines()[-1]

    def connected(self):
        """A client that the person has connected."""
        connector = Connector(f"{self.issuer}/api/mcp/server")
        connector.connect(EMAIL, PASSWORD, TENANT)
        return connector

    def connects(self):
        """From an empty stack to a revoked grant, of which the audit log tells."""
        self.serve_at_issuer()
        self.apply()
        self.connected().revoke()
        self.audits("grant_approved", "grant_ended")

    def key_works(self):
        """A script with an API key calls a tool, sees a connection in the console's API, and ends it."""
        made = self.amble("key", "add", "--tenant", TENANT, "--person", OWNER, "--name", "script", "--json", "tools:execute", "connections:manage")
        connector, script = self.connected(), Connector.with_token(f"{self.issuer}/api/mcp/server", json.loads(made)["api_key"])
        script.tool("count_words", text="by key")

        console = f"{self.issuer}/admin/api/tenants/{TENANT}"
        (connection,) = expect(requests.get(f"{console}/connections", headers=script.authorization)).json()["connections"]
        equal(connection["client"]["id"], connector.client, "the client of the connection")
        expect(requests.post(f"{console}/connections/end", json={"person": connection["person"]}, headers=script.authorization))
        expect(connector.call("tools/list"), 401)

        self.audits("key_made")
        activity = expect(requests.get(f"{console}/activity", headers=script.authorization)).json()["events"]
        equal("grant_approved" in {event["event"] for event in activity}, True, "whether the console shows the approval")

    def membership_ends(self):
        """The product tells that somebody has left the tenant (Standard Webhooks)."""
        now, member = int(time.time()), {"role": "member", "person": MEMBER, "tenant": TENANT}
        body = json.dumps({"type": "DELETE", "record": None, "old_record": member, "sequence": now * 1_000_000})
        signature = hmac.digest(base64.b64decode(MEMBERSHIP_SECRET.removeprefix("whsec_")), f"change.{now}.{body}".encode(), "sha256")
        headers = {"content-type": "application/json", "webhook-id": "change", "webhook-timestamp": str(now), "webhook-signature": f"v1,{base64.b64encode(signature).decode()}"}
        expect(requests.post(f"{self.issuer}/hooks/membership", body, headers=headers), 204)
        equal(MEMBER in self.amble("member", "list", "--tenant", TENANT), False, "whether the member is still there")

    def doctor(self):
        """It finds what the list says, and nothing else. How long answers take is this machine's affair."""
        report = json.loads(self.amble("doctor", "--person", EMAIL, "--password-env", "PASSWORD", "--tenant", TENANT, "--json", status=1))
        for check in report["checks"]:
            print(f"{check['verdict']:8}{check['check']:14}{', '.join(sorted({finding['code'] for finding in check['findings']}) or check['seen'])}")
        found = {(finding["verdict"], finding["code"]) for check in report["checks"] if check["check"] != "speed" for finding in check["findings"]}
        equal(found, {(entry["verdict"], entry["code"]) for entry in OMISSIONS["findings"]}, "what the doctor finds")

    def amble(self, *arguments, status=0):
        """What it says of the stack, which it finds by its outputs."""
        environment = {**self.stack.emulator.environment, "PASSWORD": PASSWORD}
        run = subprocess.run([AMBLE, *arguments, "--stack", self.stack.name], env=environment, capture_output=True, text=True, cwd=ROOT)
        equal(run.returncode, status, f"the exit status of amble {' '.join(arguments)} ({run.stdout}{run.stderr})")
        return run.stdout

    def product_name(self):
        """It stands at the end of the title of every page."""
        title = expect(requests.get(f"{self.issuer}/auth/login")).text.partition("<title>")[2]
        return title.partition("</title>")[0].split()[-1]

    def audits(self, *events):
        """These events reach the audit log, by the subscription to each function's log."""
        group, deadline = self.stack.output("AuditLogGroup"), time.monotonic() + 5
        while True:
            lines = self.stack.emulator.lines(group)
            missing = [event for event in events if not any(f'"event":"{event}"' in line for line in lines)]
            if not missing:
                return
            if time.monotonic() > deadline:
                raise AssertionError(f"{missing} did not reach the audit log")
            time.sleep(0.2)

    def errors(self):
        """What functions have logged as errors."""
        emulator = self.stack.emulator
        for group in emulator.all("logs", "describe_log_groups", "logGroups"):
            yield from (f"{group['logGroupName']}: {line}" for line in emulator.lines(group["logGroupName"]) if '"level":"ERROR"' in line)


def deploy_tool(emulator):
    """The function that a tool of infra/local/demo.yaml is; its ARN."""
    source = b"""
def handler(event, context):
    words = event["arguments"]["text"].split()
    return {"words": len(words), "letters": sum(map(len, words))}
"""
    trust = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}]}
    role = emulator.client("iam").create_role(RoleName="tool", AssumeRolePolicyDocument=json.dumps(trust))["Role"]["Arn"]
    code = {"ZipFile": archive("tool.py", source)}
    return emulator.client("lambda").create_function(FunctionName="count-words", Runtime="python3.13", Handler="tool.handler", Role=role, Code=code)["FunctionArn"]
