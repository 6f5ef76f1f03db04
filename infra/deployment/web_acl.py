"""The rules of AWS WAF, worked out for one request after another. Only the statements that are used here are known: any other is an error.

Reference: AWS WAF Developer Guide, "Rule statements" and "Rate-based rule statements". A rate-based rule counts the requests that match its
scope-down statement, for each address; here to the request, at AWS approximately and some seconds late.
"""

import ipaddress
import re
from collections import defaultdict, deque
from urllib.parse import unquote_plus

TRANSFORMATIONS = {"NONE": lambda text: text, "LOWERCASE": str.lower, "URL_DECODE": unquote_plus}


class WebAcl:
    """Rules, and the addresses of the sets that they refer to by name."""

    def __init__(self, rules, sets):
        self.rules = sorted(rules, key=lambda rule: rule["Priority"])
        self.sets = {name: [ipaddress.ip_network(address) for address in addresses] for name, addresses in sets.items()}
        self.seen = defaultdict(deque)

    def blocks(self, request):
        """The name of the rule that blocks a request, or None."""
        return next((rule["Name"] for rule in self.rules if self.matches(rule["Statement"], request, rule["Name"])), None)

    def matches(self, statement, request, rule):
        (kind, given), = statement.items()
        match kind:
            case "AndStatement":
                return all(self.matches(part, request, rule) for part in given["Statements"])
            case "OrStatement":
                return any(self.matches(part, request, rule) for part in given["Statements"])
            case "NotStatement":
                return not self.matches(given["Statement"], request, rule)
            case "IPSetReferenceStatement":
                return any(ipaddress.ip_address(request.address) in network for network in self.sets[given["Arn"]])
            case "RegexMatchStatement":
                return any(re.search(given["RegexString"], part) for part in fields(given, request))
            case "SizeConstraintStatement":
                compare = {"GT": int.__gt__, "EQ": int.__eq__}[given["ComparisonOperator"]]
                return any(compare(len(part), given["Size"]) for part in fields(given, request))
            case "RateBasedStatement":
                return self.is_too_often(given, request, rule)
        raise ValueError(f"{rule} has a {kind}, of which nobody knows here what it refuses")

    def is_too_often(self, given, request, rule):
        if given["AggregateKeyType"] != "IP":
            raise ValueError(f"{rule} counts by {given['AggregateKeyType']}")
        if not self.matches(given["ScopeDownStatement"], request, rule):
            return False
        times = self.seen[rule, request.address]
        times.append(request.at)
        while request.at - times[0] >= given["EvaluationWindowSec"]:
            times.popleft()
        return len(times) > int(given["Limit"])


def fields(given, request):
    """The parts of a request that a statement looks at, transformed as it says."""
    (field, of), = given["FieldToMatch"].items()
    parts = {
        "UriPath": lambda: [request.path],
        "QueryString": lambda: [request.query],
        "AllQueryArguments": lambda: request.query.split("&"),
        "SingleHeader": lambda: [request.headers.get(of["Name"], "")],
        "Body": lambda: [request.body.decode("latin-1")],
    }[field]()
    for transformation in sorted(given["TextTransformations"], key=lambda one: one["Priority"]):
        parts = [TRANSFORMATIONS[transformation["Type"]](part) for part in parts]
    return parts


def _rule(name, kind, field, **given):
    of = {"FieldToMatch": field, "TextTransformations": [{"Priority": 0, "Type": "URL_DECODE" if "RegexString" in given else "NONE"}], **given}
    return {"Name": name, "Priority": 0, "Statement": {kind: of}}


# What AWS documents of its core rule set (AWSManagedRulesCommonRuleSet) and real clients run into. The set has more.
CORE_RULE_SET = [
    _rule("NoUserAgent_HEADER", "SizeConstraintStatement", {"SingleHeader": {"Name": "user-agent"}}, ComparisonOperator="EQ", Size=0),
    _rule("SizeRestrictions_QUERYSTRING", "SizeConstraintStatement", {"QueryString": {}}, ComparisonOperator="GT", Size=2048),
    _rule("SizeRestrictions_BODY", "SizeConstraintStatement", {"Body": {}}, ComparisonOperator="GT", Size=8192),
    _rule("GenericRFI_QUERYARGUMENTS", "RegexMatchStatement", {"AllQueryArguments": {}}, RegexString=r"://\d{1,3}(\.\d{1,3}){3}"),
]
