#!/usr/bin/env python3
"""Prints what a deployment may do and what it consists of, in Markdown, for those who have to approve it.

    python infra/deployment/policies.py     needs `pip install aws-sam-cli`, and no network nor AWS account

Read from the template as CloudFormation gets it: transformed by SAM, with everything in it that a parameter can bring.
"""

import json
import logging
from collections import Counter

from check import BASIC, XRAY, TemplateUnderTest, Shape, listed


def main():
    logging.disable(logging.WARNING)
    subject = TemplateUnderTest()
    whole = Shape(subject.transformed, subject.transformed["Conditions"].keys())
    print("## What each function may do\n")
    print(f"Besides its own log lines (`{BASIC}`), and traces where `Tracing` is `Active` (`{XRAY}`). `<table>` is the table of that name, `<key>` a signing key.\n")
    nothing = {"Action": "nothing", "Resource": []}
    rows = ((function, statement) for function in sorted(whole.functions) for statement in whole.statements(function) or [nothing])
    table(
        ("function", "actions", "on", "only if"),
        [(function, ", ".join(listed(s["Action"])), ", ".join(map(named, listed(s["Resource"]))) or "–", told(s.get("Condition"))) for function, s in rows],
    )
    print("\n## What a deployment may do by CodeDeploy\n")
    table(("actions", "on"), [(", ".join(listed(s["Action"])), ", ".join(map(named, listed(s["Resource"])))) for s in whole.statements("Rollout")])
    print("\n## What the signing keys' policies allow\n")
    statements = {json.dumps(s): s for key in whole.keys.values() for s in key["KeyPolicy"]["Statement"]}  # the same for a key and the one that replaces it
    table(
        ("statement", "who", "actions", "only if"),
        [(s["Sid"], named(s["Principal"]), ", ".join(listed(s["Action"])), told(s.get("Condition"))) for s in statements.values()],
    )
    print("\n## What may call a function\n")
    by_alias = {alias: f"`<{function}>:live`" for function, alias in whole.aliases.items()}
    calls = {(p["Action"], p["Principal"], by_alias.get(p["FunctionName"]["Ref"], named(p["FunctionName"]))) for p in whole.of("AWS::Lambda::Permission").values()}
    table(("function", "by", "action"), sorted((function, by, action) for action, by, function in calls))
    print("\n## What there is\n")
    kinds = Counter(resource["Type"] for resource in whole.resources.values())
    table(("type", "how many"), sorted(kinds.items()))
    print(f"\n{sum(kinds.values())} resources of {len(kinds)} types.")


def table(heads, rows):
    print(f"| {' | '.join(heads)} |\n|{' --- |' * len(heads)}")
    for row in rows:
        print("|", " | ".join(str(cell) for cell in row), "|")


def named(value):
    """As short as it can be said what an ARN or a principal is."""
    match value:
        case {"Fn::GetAtt": [name, *_]} | {"Ref": name}:
            return f"`<{name}>`"
        case {"Fn::Sub": text} if isinstance(text, str):
            return f"`{text.replace('${', '<').replace('.Arn}', '>').replace('}', '>')}`"
        case {"Fn::Split": [",", {"Ref": parameter}]}:
            return f"each of `<{parameter}>`"
        case dict():
            return ", ".join(f"{kind} {named(of)}" for kind, of in value.items())
        case list():
            return ", ".join(named(each) for each in value)
    return f"`{value}`"


def told(condition):
    return "; ".join(f"`{key}` {operator} {named(values)}" for operator, pairs in (condition or {}).items() for key, values in pairs.items()) or "–"


if __name__ == "__main__":
    main()
