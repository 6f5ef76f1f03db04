"""Holds infra/edge/template.yaml to its promises: what its rules let through, what they limit, and that all else arrives at the API."""

import copy
import fnmatch
import re
from dataclasses import replace
from pathlib import Path

from samcli.yamlhelper import yaml_parse

import cloudformation
import declared_parameters
import recorded_requests
from intrinsics import Deployment
from recorded_requests import Request
from web_acl import CORE_RULE_SET, WebAcl

ROOT = Path(__file__).resolve().parents[2]
GIVEN = {
    "Host": "connect.amble.test",
    "CertificateArn": "arn:aws:acm:us-east-1:111122223333:certificate/0-a",
    "ApiAddress": "d-abc123.execute-api.eu-west-1.amazonaws.com",
    "OriginSecret": "c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0LXNlY3I=",
}
VERIFIED = {"OpenAiRanges": "192.0.2.0/25"}  # as if the list were known
CLAUDE, CHATGPT, ANYBODY = "160.79.104.10", "192.0.2.10", "203.0.113.7"
# Where a person or a program has signed in before, or nothing is called for who has not. Every other route has a limit for each source.
UNLIMITED = {
    "Mcp": "a token or key is in it, all of a hosted client's calls come from few addresses, and without one nothing is called",
    "WellKnown": "the edge keeps it",
    "Membership": "the product's database signs it, and sends many at once",
}
CACHED = {"WellKnown"}
# The codes for which CloudFront can be told how long to keep an error; it keeps 416 in no case.
ERRORS = {400, 403, 404, 405, 414, 500, 501, 502, 503, 504}

# ---------------------------------------------------------------------------------------------------------- The questions


def the_edge_finds_cloudformation_content(_):
    yield from cloudformation.findings(read(), ["us-east-1"])
    yield from declared_parameters.ungrouped(read())


def the_edge_refuses_parameters_that_cannot_work(_):
    digest = "0" * 64
    yield from declared_parameters.misjudged(read(), [
        ("Host", ["connect.example.com"], ["", "https://connect.example.com", "Connect.example.com", "localhost", "a.b/"]),
        ("CertificateArn", [GIVEN["CertificateArn"]], ["", GIVEN["CertificateArn"].replace("us-east-1", "eu-west-1")]),
        ("ApiAddress", [GIVEN["ApiAddress"]], ["", "abc123.execute-api.eu-west-1.amazonaws.com", "connect.example.com", "https://" + GIVEN["ApiAddress"]]),
        ("OriginSecret", [GIVEN["OriginSecret"], "a" * 43], ["", "short", "a" * 42, "a " * 30]),
        ("ClaudeRanges", ["160.79.104.0/21", "160.79.104.0/21,192.0.2.0/24"], ["", "160.79.104.1", "2001:db8::/32", "160.79.104.0/21, 192.0.2.0/24"]),
        ("OpenAiRanges", ["", "192.0.2.0/24"], ["*", "192.0.2.0/24,"]),
    ])
    yield from declared_parameters.misjudged(yaml_parse((ROOT / "template.yaml").read_text()), [
        ("EdgeSecretDigests", ["", digest, f"{digest},{digest}"], ["secret", digest[1:], f"{digest},", f"{digest},{digest},{digest}", "A" * 64]),
        ("EdgeAddress", ["", "d111111abcdef8.cloudfront.net"], ["https://d1.cloudfront.net", "d1.cloudfront.net/", "edge.example.com"]),
    ])


def the_edge_has_rules_that_count_and_no_others(_):
    yield from EdgeUnderTest().other_rules()


def recorded_requests_pass_the_edge(_):
    yield from EdgeUnderTest().refused()


def the_edge_limits_each_source(subject):
    yield from EdgeUnderTest().unlimited(subject.shapes[0].routes)


def all_that_is_sent_arrives_through_the_edge(subject):
    yield from EdgeUnderTest().lost(subject.shapes[0].routes)


def the_origin_knows_the_edge_by_its_secret(_):
    edge = EdgeUnderTest()
    (header,) = edge.resources()["Distribution"]["DistributionConfig"]["Origins"][0]["OriginCustomHeaders"]
    known = re.search(r'HeaderName = HeaderName::from_static\("([^"]+)"\)', (ROOT / "shared/src/http/edge.rs").read_text())[1]
    if header["HeaderName"].lower() != known or header["HeaderValue"] != GIVEN["OriginSecret"]:
        yield f"the edge sends {header['HeaderName']}, and functions look for {known}"
    secret = edge.template["Parameters"]["OriginSecret"]
    if not secret.get("NoEcho") or "Default" in secret:
        yield "the secret is shown, or is everybody's"


def what_the_document_says_of_the_edge_is_so(_):
    said = (ROOT / "docs/edge.md").read_text()
    for line in [*EdgeUnderTest().table_of_requests(), *EdgeUnderTest().table_of_bursts()]:
        if line not in said.splitlines():
            yield f"docs/edge.md does not say: {line}"


def an_edge_that_somebody_spoils_is_seen(subject):
    routes = subject.shapes[0].routes

    def regex(template, change):
        for rule in template["Resources"]["Rules"]["Properties"]["Rules"]:
            change(rule["Statement"]["RateBasedStatement"]["ScopeDownStatement"]["AndStatement"]["Statements"][0]["RegexMatchStatement"])

    def rule(statement, **more):
        return lambda t: t["Resources"]["Rules"]["Properties"]["Rules"].append({"Name": "more", "Priority": 5, "Statement": statement, "VisibilityConfig": {"SampledRequestsEnabled": False}, "Action": {"Block": {}}, **more})

    def config(t):
        return t["Resources"]["Distribution"]["Properties"]["DistributionConfig"]

    for question, spoil, what in [
        *((EdgeUnderTest.refused, rule(core["Statement"]), core["Name"]) for core in CORE_RULE_SET),
        (EdgeUnderTest.refused, rule({"ManagedRuleGroupStatement": {"VendorName": "AWS", "Name": "AWSManagedRulesCommonRuleSet"}}), "a managed rule group"),
        (EdgeUnderTest.other_rules, rule({"ManagedRuleGroupStatement": {"VendorName": "AWS", "Name": "AWSManagedRulesBotControlRuleSet"}}), "bot control"),
        (EdgeUnderTest.other_rules, rule({"RateBasedStatement": {}}, Action={"Challenge": {}}), "a challenge"),
        (lambda edge: edge.unlimited(routes), lambda t: regex(t, lambda r: r.update(TextTransformations=[{"Priority": 0, "Type": "NONE"}])), "a path that is not decoded"),
        (lambda edge: edge.unlimited(routes), lambda t: regex(t, lambda r: r.update(RegexString="^/oauth/")), "a sign-in page without a limit"),
        (lambda edge: edge.unlimited(routes), lambda t: t["Resources"]["Rules"]["Properties"]["Rules"].pop(), "others than hosted clients without a limit"),
        (lambda edge: edge.unlimited(routes), lambda t: t["Resources"]["Rules"]["Properties"]["Rules"][1]["Statement"]["RateBasedStatement"].update(Limit={"Ref": "SourceLimit"}), "the lower bound for ChatGPT"),
        (lambda edge: edge.lost(routes), lambda t: config(t)["DefaultCacheBehavior"].update(CachePolicyId="658327ea-f89d-4fab-a63d-7e88639e58f6"), "pages that are kept"),
        (lambda edge: edge.lost(routes), lambda t: config(t)["CustomErrorResponses"].pop(), "errors that are kept"),
        (lambda edge: edge.lost(routes), lambda t: config(t)["CacheBehaviors"].pop(), "keys that are not kept"),
        (lambda edge: edge.lost(routes), lambda t: t["Resources"]["Documents"]["Properties"]["CachePolicyConfig"]["ParametersInCacheKeyAndForwardedToOrigin"].update(HeadersConfig={"HeaderBehavior": "none"}), "documents of another host"),
    ]:
        edge = EdgeUnderTest()
        spoil(edge.template)
        if not list(question(edge)):
            yield f"{what} is not seen"


# ---------------------------------------------------------------------------------------------------------- What is asked


class EdgeUnderTest:
    """The template as written, until somebody spoils it."""

    def __init__(self):
        self.template = read()

    def other_rules(self):
        rules = self.template["Resources"]["Rules"]["Properties"]
        if rules["DefaultAction"] != {"Allow": {}}:
            yield "what no rule is about is refused"
        for rule in rules["Rules"]:
            if rule["Statement"].keys() != {"RateBasedStatement"} or rule.get("Action", {}).keys() != {"Block"}:
                yield f"{rule['Name']} does something else than to refuse what comes too often"
        if any(each["VisibilityConfig"]["SampledRequestsEnabled"] for each in [rules, *rules["Rules"]]):
            yield "AWS keeps samples of requests, with what is secret in them"

    def refused(self):
        """None is refused for what it is."""
        for parameters in ({}, VERIFIED):
            for kind, requests in recorded_requests.kinds().items():
                if not requests:
                    yield f"there are no requests {kind}"
                for address in (CLAUDE, CHATGPT, ANYBODY):
                    acl = self.rules(parameters)
                    for request in requests:
                        try:
                            rule = acl.blocks(replace(request, address=address))
                        except ValueError as unknown:
                            yield str(unknown)
                            break
                        if rule:
                            yield f"{rule} blocks {request.path} {kind}, from {address}"

    def unlimited(self, routes):
        """As often as its bound says and not once more, until the five minutes are over; whoever else there is."""
        for parameters, address, bound in [
            ({}, CLAUDE, 3000), ({}, CHATGPT, 3000), ({}, ANYBODY, 3000),
            (VERIFIED, CLAUDE, 3000), (VERIFIED, CHATGPT, 3000), (VERIFIED, ANYBODY, 1500),
            ({"SourceLimit": "10", "HostedLimit": "20", **VERIFIED}, ANYBODY, 10), ({"SourceLimit": "10", "HostedLimit": "20", **VERIFIED}, CLAUDE, 20),
        ]:
            passed, after, others = self.burst(parameters, Request("/oauth/register", address=address), 3100)
            if (passed, after, others) != (bound, True, True):
                yield f"{address} with {parameters}: {passed} pass, {'one' if after else 'none'} when it is over, {'also' if others else 'not even'} one of another address"
        for path in ["/oauth/%72egister", "/%6Fauth/token", "/auth/login/password", "/admin"]:
            if self.burst({}, Request(path), 3001)[0] != 3000:
                yield f"{path} is not limited"
        for path, function in sorted({(route.split(" ")[1], function) for route, function in routes.items()}):
            limited = self.burst({"HostedLimit": "10"}, Request(re.sub(r"\{\w+\}", "acme", path)), 11)[0] == 10
            if limited != (function not in UNLIMITED):
                yield f"{path} of {function} {'has a limit' if limited else 'has none'}"

    def lost(self, routes):
        """The API sees what it sees without the edge, and what may be kept is what is public."""
        config = self.resources()["Distribution"]["DistributionConfig"]
        behaviour, policy = config["DefaultCacheBehavior"], self.resources()["Everything"]["OriginRequestPolicyConfig"]
        if set(behaviour["AllowedMethods"]) != {"GET", "HEAD", "OPTIONS", "PUT", "PATCH", "POST", "DELETE"} or behaviour["OriginRequestPolicyId"] != "<Everything>":
            yield "methods are refused, or another policy says what is sent on"
        if policy["HeadersConfig"] != {"HeaderBehavior": "allViewerAndWhitelistCloudFront", "Headers": ["CloudFront-Viewer-Address"]} or policy["CookiesConfig"] != {"CookieBehavior": "all"} or policy["QueryStringsConfig"] != {"QueryStringBehavior": "all"}:
            yield "headers, cookies or the query are lost"
        if behaviour["CachePolicyId"] != "4135ea2d-6df8-44a3-9df3-4b5a84be39ad" or {error["ErrorCode"] for error in config["CustomErrorResponses"] if error["ErrorCachingMinTTL"] == 0} != ERRORS:
            yield "answers or errors are kept"
        for route, function in routes.items():
            method, path = route.split(" ")
            found = next((b for b in config["CacheBehaviors"] if fnmatch.fnmatchcase(re.sub(r"\{\w+\}", "acme", path), b["PathPattern"])), behaviour)
            if (found is not behaviour) != (function in CACHED):
                yield f"{route} of {function} is {'kept' if found is not behaviour else 'not kept'}"
            if method not in found["AllowedMethods"] or found["ViewerProtocolPolicy"] != "https-only":
                yield f"{route} does not get through, or in clear as well"
        cache = self.resources()["Documents"]["CachePolicyConfig"]
        if (cache["MinTTL"], cache["DefaultTTL"]) != (0, 0) or cache["ParametersInCacheKeyAndForwardedToOrigin"]["HeadersConfig"].get("Headers") != ["Host"]:
            yield "documents are kept for longer than they say, or those of another host for ours"

    def table_of_requests(self):
        """How many of each kind pass the rules, and how many AWS's core rule set would refuse."""
        yield "| requests | number | passed | refused by AWS's core rule set |"
        core = WebAcl(CORE_RULE_SET, {})
        for kind, requests in recorded_requests.kinds().items():
            acl = self.rules({})
            passed = sum(acl.blocks(request) is None for request in requests)
            yield f"| {kind} | {len(requests)} | {passed} | {sum(core.blocks(request) is not None for request in requests)} |"

    def table_of_bursts(self):
        """How many of 4,000 at once pass, from whom and with which parameters."""
        yield "| 4,000 requests at once from one address | passed | blocked |"
        for what, parameters, request in [
            ("to register, from Claude's range", {}, Request("/oauth/register", address=CLAUDE)),
            ("to register, from anywhere, while `OpenAiRanges` is empty", {}, Request("/oauth/register")),
            ("to register, from `OpenAiRanges`", VERIFIED, Request("/oauth/register", address=CHATGPT)),
            ("to register, from anywhere else, with `OpenAiRanges`", VERIFIED, Request("/oauth/register")),
            ("to the sign-in page, likewise", VERIFIED, Request("/auth/login")),
            ("to the MCP server, likewise", VERIFIED, Request("/api/mcp/server")),
        ]:
            passed = self.burst(parameters, request, 4000)[0]
            yield f"| {what} | {passed:,} | {4000 - passed:,} |"

    def burst(self, parameters, request, number):
        """How many pass of so many at once, whether one passes when the window is over, and whether one of somebody else does meanwhile."""
        acl = self.rules(parameters)
        passed = sum(acl.blocks(request) is None for _ in range(number))
        others = acl.blocks(replace(request, address="198.51.100.1")) is None
        return passed, acl.blocks(replace(request, at=301)) is None, others

    def rules(self, parameters):
        resources = self.resources(**parameters)
        sets = {f"<{name}.Arn>": r["Addresses"] for name, r in resources.items() if self.template["Resources"][name]["Type"] == "AWS::WAFv2::IPSet"}
        return WebAcl(resources["Rules"]["Rules"], sets)

    def resources(self, **parameters):
        """The properties of each resource, with a value for each parameter."""
        deployment = Deployment(self.template, GIVEN | parameters)
        return {name: deployment.value(copy.deepcopy(resource["Properties"])) for name, resource in self.template["Resources"].items()}


def read():
    return yaml_parse((ROOT / "infra/edge/template.yaml").read_text())
