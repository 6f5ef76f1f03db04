"""The template as the emulator can deploy it: transformed by SAM, and without what omissions.toml says."""

import copy
import json
import re
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.append(str(ROOT / "infra" / "deployment"))

from check import TemplateUnderTest

OMISSIONS = tomllib.loads((Path(__file__).parent / "omissions.toml").read_text())
APPLIED = ["refused", "changed", "condition_keys", "patterns"]  # the parts that change a template


def transformed(parameters, bucket):
    """What SAM makes of template.yaml. The program of each function is in the bucket, where `sam package` would have put it."""
    template = json.loads(json.dumps(TemplateUnderTest.translate(**parameters)))
    for resource in template["Resources"].values():
        if resource["Type"] == "AWS::Lambda::Function":
            resource["Properties"]["Code"] = {"S3Bucket": bucket, "S3Key": resource["Metadata"]["BuildProperties"]["Binary"]}
    return template


def deployable(template, kept=None):
    """The transformed template as the emulator can deploy it, and the resources that it lacks. The entry `kept` is not applied."""
    routes = imported(template["Resources"]["Api"]["Properties"]["Body"])
    return reduced({**template, "Resources": template["Resources"] | routes}, OMISSIONS, kept)


def reduced(template, omissions, kept):
    """A template without what `omissions` has, and the resources that it lacks. The entry `kept` is not applied."""
    template = copy.deepcopy(template)
    resources = template["Resources"]
    applied = {part: [entry for entry in omissions.get(part, []) if entry is not kept] for part in APPLIED}
    for entry in applied["changed"]:
        for name in matching(resources, entry):
            change(resources[name]["Properties"], entry["property"], entry["value"])
    omitted = {name for entry in applied["refused"] for name in matching(resources, entry)}
    for name in omitted:
        del resources[name]
    for entry in applied["patterns"]:
        del template["Parameters"][entry["parameter"]]["AllowedPattern"]
    for entry in applied["condition_keys"]:
        resources |= without_key(entry["key"], resources)
    return without_references(omitted, template), omitted


def named_anew(template):
    """The template with new names for what outlives a stack. CloudFormation makes new ones by itself; the emulator makes the
    same ones again, and empties the tables that have them."""
    template = copy.deepcopy(template)
    for name, resource in template["Resources"].items():
        member = {"AWS::DynamoDB::Table": "TableName", "AWS::Logs::LogGroup": "LogGroupName"}.get(resource["Type"])
        if member and resource.get("DeletionPolicy", "Delete") != "Delete":
            resource["Properties"].setdefault(member, {"Fn::Sub": f"${{AWS::StackName}}-{name}-again"})
    return template


def matching(resources, entry):
    """The names of the resources that an entry is about."""
    found = {name: resource["Properties"] for name, resource in resources.items() if resource["Type"] == entry["kind"]}
    return [name for name, properties in found.items() if "having" not in entry or entry["having"] in properties]


def change(properties, path, value):
    *objects, name = path
    for member in objects:
        properties = properties[member]
    properties[name] = value


def without_key(key, node):
    """The same without that key of conditions."""
    if isinstance(node, list):
        return [without_key(key, item) for item in node]
    if not isinstance(node, dict):
        return node
    return {name: without_key(key, value) for name, value in node.items() if name != key}


def without_references(omitted, node):
    """The same with a name in place of each reference to an omitted resource."""
    if isinstance(node, list):
        return [without_references(omitted, item) for item in node]
    if isinstance(node, str):
        return re.sub(r"\$\{(\w+)(\.\w+)?\}", lambda found: found[1] if found[1] in omitted else found[0], node)
    if not isinstance(node, dict):
        return node
    for function in ("Ref", "Fn::GetAtt"):
        name = node.get(function)
        name = name[0] if isinstance(name, list) else name
        if node.keys() == {function} and name in omitted:
            return name
    return {key: without_references(omitted, value) for key, value in node.items()}


def operations(body):
    """The operations of an OpenAPI document: the route of each, and the conditions under which it exists."""
    for path, methods, conditions in under_conditions(body["paths"]):
        for method, operation, more in under_conditions(methods):
            yield f"{method.upper()} {path}", operation, conditions + more


def under_conditions(members):
    for name, value in members.items():
        conditions = []
        while isinstance(value, dict) and value.keys() == {"Fn::If"}:
            condition, value, _ = value["Fn::If"]
            conditions.append(condition)
        yield name, value, conditions


def imported(body):
    """The integration and the route that API Gateway makes of each operation when it imports the document."""
    resources = {}
    for route, operation, conditions in operations(body):
        name = "Imported" + re.sub(r"\W", "", route.title()) + ("Slash" if route.endswith("/") else "")
        integration = operation["x-amazon-apigateway-integration"]
        mapping = integration.get("responseParameters", {})
        mapping = {status: {"ResponseParameters": [{"Destination": to, "Source": source} for to, source in parameters.items()]} for status, parameters in mapping.items()}
        made = {
            f"{name}Integration": ("Integration", {"IntegrationType": "AWS_PROXY", "IntegrationUri": integration["uri"], "PayloadFormatVersion": integration["payloadFormatVersion"], "ResponseParameters": mapping}),
            f"{name}Route": ("Route", {"RouteKey": route, "Target": {"Fn::Sub": f"integrations/${{{name}Integration}}"}}),
        }
        for resource, (kind, properties) in made.items():
            resources[resource] = {"Type": f"AWS::ApiGatewayV2::{kind}", "Properties": {"ApiId": {"Ref": "Api"}, **properties}}
            if conditions:
                resources[resource]["Condition"], = set(conditions)
    return resources
