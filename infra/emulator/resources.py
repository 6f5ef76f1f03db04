"""What is deployed: asked of CloudFormation, and of the services themselves."""

from collections import Counter

from connection import equal
from template import OMISSIONS, operations

ATTRIBUTES = {"Type", "Properties", "Condition", "DependsOn", "DeletionPolicy", "UpdateReplacePolicy", "Metadata"}  # of a resource: those that the emulator heeds


def everything_is_deployed(stack, template, omitted):
    """Every resource of the template is there, or the list says why not. The services know the main ones; every route is there."""
    deployed, resources = stack.resources(), template["Resources"]
    absent = {name: resource.get("Condition") for name, resource in resources.items() if name not in deployed and name not in omitted}
    equal(set(absent.values()), {entry["condition"] for entry in OMISSIONS["conditions"]}, f"the conditions of {sorted(absent)}")

    attributes = {(resource["Type"], attribute) for resource in resources.values() for attribute in resource if attribute not in ATTRIBUTES}
    listed = {(entry["kind"], entry["property"]) for entry in OMISSIONS["ignored"]}
    equal(sorted(listed ^ (stack.ignored() | attributes)), [], "what is ignored and not listed, or listed and not ignored")

    for kind, found in existing(stack.emulator).items():
        ids = {identity for known, identity in deployed.values() if known == kind}
        equal(sorted(ids - found), [], f"what CloudFormation calls {kind} and the service does not know")
        equal(len(ids), sum(resource["Type"] == kind for resource in resources.values()), f"the number of {kind}")
    found = {route["RouteKey"] for route in stack.emulator.all("apigatewayv2", "get_routes", "Items", ApiId=deployed["Api"][1])}
    wanted = {route for route, _, _ in operations(resources["Api"]["Properties"]["Body"])}
    equal(sorted(found ^ wanted), [], "the routes that are deployed and not in the template, or in it and not deployed")


def print_counts(stack, template, omitted):
    """How many resources of each kind are deployed, omitted, and not there because their condition does not hold."""
    deployed, resources = stack.resources(), template["Resources"]
    absent = resources.keys() - deployed.keys() - omitted
    columns = [Counter(kind for kind, _ in deployed.values()), Counter(resources[name]["Type"] for name in omitted), Counter(resources[name]["Type"] for name in absent)]
    print(f"{'':41}{'deployed':>10}{'omitted':>10}{'by condition':>14}")
    for kind in sorted(set().union(*columns)):
        print("{:41}{:10}{:10}{:14}".format(kind, *(column[kind] for column in columns)))
    print("{:41}{:10}{:10}{:14}".format("in all", *(column.total() for column in columns)))


def existing(emulator):
    """What the services have, by kind, under the ids that CloudFormation uses."""
    kms = emulator.client("kms")
    return {
        "AWS::Lambda::Function": {function["FunctionName"] for function in emulator.all("lambda", "list_functions", "Functions")},
        "AWS::DynamoDB::Table": set(emulator.all("dynamodb", "list_tables", "TableNames")),
        "AWS::KMS::Key": {key["KeyId"] for key in emulator.all("kms", "list_keys", "Keys") if kms.describe_key(KeyId=key["KeyId"])["KeyMetadata"]["Enabled"]},
        "AWS::ApiGatewayV2::Api": {api["ApiId"] for api in emulator.all("apigatewayv2", "get_apis", "Items")},
        "AWS::Logs::LogGroup": {group["logGroupName"] for group in emulator.all("logs", "describe_log_groups", "logGroups")},
    }


def live_versions(stack):
    """The version behind each function's alias."""
    functions = {identity.removesuffix(":live") for kind, identity in stack.resources().values() if kind == "AWS::Lambda::Alias"}
    return {function: stack.emulator.client("lambda").get_alias(FunctionName=function, Name="live")["FunctionVersion"] for function in functions}


def retained(stack, template):
    """The ids of what outlives the stack."""
    resources = template["Resources"]
    return {identity for name, (_, identity) in stack.resources().items() if resources.get(name, {}).get("DeletionPolicy", "Delete") != "Delete"}


def only_what_is_retained_is_left(emulator, deployed, lasting):
    for kind, left in existing(emulator).items():
        ids = {identity for known, identity in deployed.values() if known == kind}
        equal(sorted(ids & left), sorted(ids & lasting), f"what is left of {kind}")
        print(f"{kind}: {len(ids)} were deployed, {len(ids & lasting)} are retained")


def items(emulator, names):
    """How many items each of the tables holds."""
    tables = names & existing(emulator)["AWS::DynamoDB::Table"]
    return {table: len(emulator.all("dynamodb", "scan", "Items", TableName=table)) for table in tables}
