"""Questions about access.yaml: whether who deploys may do what the stack takes and no more, and who looks may only look."""

import json
import re
from pathlib import Path

from cfnlint.api import ManualArgs, lint
from cfnlint.schema import PROVIDER_SCHEMA_MANAGER
from samcli.yamlhelper import yaml_parse

ACCESS = Path(__file__).with_name("access.yaml")
READING = re.compile(r"\w+:(Get|List|Describe|View|Validate|BatchGet|Query|Scan|Filter|StartQuery)", re.IGNORECASE)
VIA_CLOUDFORMATION = {"ForAnyValue:StringEquals": {"aws:CalledVia": ["cloudformation.amazonaws.com"]}}
LIMIT = 6144  # characters of a managed policy, white space not counted

# What CloudFormation's handlers ask for in general and this stack does not take.
UNASKED = {
    r"apigateway:(un)?tagresource": "IAM knows it as the verbs on /tags",
    r"codedeploy:registeronpremisesinstance": "there are no servers",
    r"dynamodb:(batchwriteitem|deleteitem|getitem|putitem|query|scan|updateitem)": "items of replicas and imports",
    r"dynamodb:((?!describe)\w*(kinesis|replica|import|contributorinsights)|describeimport)": "no streams, replicas, imports or insights",
    r"dynamodb:(put|delete)resourcepolicy": "tables have no policies",
    r"dynamodb:deletetable": "tables outlive the stack",
    r"ec2:|elasticfilesystem:|s3files:|kinesis:|firehose:|s3:(rest\.put\.object|getobjectmetadata)": "none of these is used",
    r"iam:createservicelinkedrole": "of replicas of tables; two others are allowed",
    r"iam:(put|delete)rolepermissionsboundary": "roles have none",
    r"kms:(creategrant|decrypt|encrypt|generatedatakey|revokegrant)": "nothing is encrypted with a key of ours",
    r"kms:(enable|disable)keyrotation": "KMS does not rotate asymmetric keys",
    r"lambda:(associateruntimealias|passcapacityprovider|getlayerversion|getcodesigningconfig)": "none of these is used",
    r"lambda:(put|delete)(functioncodesigningconfig|functionrecursionconfig|functionscalingconfig|provisionedconcurrencyconfig|runtimemanagementconfig)": "left as they are",
    r"logs:(createlogstream|putlogevents|describelogstreams)": "of imports into tables",
    r"logs:(put|delete)(dataprotectionpolicy|indexpolicy)|logs:putbearertokenauthentication|logs:putloggroupdeletionprotection": "groups have none",
    r"logs:(dis)?associatekmskey|logs:deleteresourcepolicy": "groups are encrypted with CloudWatch's own key",
    r"sns:putdataprotectionpolicy": "the topic has none",
}
# What no handler asks for and who deploys needs.
BESIDES = {
    r"cloudformation:": "the stack itself",
    r"s3:": "SAM's bucket for code and template",
    r"logs:(create|delete|get|list|update)logdeliver(y|ies)": "API Gateway's access log",
    r"logs:(describe|put)resourcepolic(y|ies)": "API Gateway's access log",
    r"lambda:listtags": "CloudFormation compares tags",
    r"iam:createservicelinkedrole": "API Gateway's, by the first custom domain, and KMS's, by the first multi-Region key",
}


def access_lints(_):
    for match in lint(ACCESS.read_text(), config=ManualArgs(regions=["us-east-1", "eu-west-1"])):
        yield f"{match.rule.id} {match.message} ({'/'.join(map(str, match.path or []))})"


def deployers_may_do_what_the_stack_takes(subject):
    allowed = {action.lower() for statement in statements(subject.access, "Deployer") for action in statement["Action"]}
    needed = {}
    for kind in sorted({r["Type"] for transformed in subject.variants.values() for r in transformed["Resources"].values()}):
        handlers = PROVIDER_SCHEMA_MANAGER.get_resource_schema("us-east-1", kind).schema.get("handlers")
        if not handlers:
            yield f"{kind}: its schema does not say what CloudFormation asks for"
            continue
        for name in handlers.keys() - {"list"}:
            needed |= {action.lower(): kind for action in handlers[name]["permissions"]}
    taken = {action: kind for action, kind in needed.items() if not listed_in(UNASKED, action)}
    yield from (f"{kind} takes {action}, and who deploys may not" for action, kind in sorted(taken.items()) if action not in allowed)
    yield from (f"who deploys may {action}, and nothing takes it" for action in sorted(allowed - taken.keys()) if not listed_in(BESIDES, action))
    made = [resource.rpartition("/")[2] for statement in statements(subject.access, "Deployer") if statement["Action"] == ["iam:CreateServiceLinkedRole"] for resource in resources(statement)]
    if made != ["AWSServiceRoleForAPIGateway", "AWSServiceRoleForKeyManagementServiceMultiRegionKeys"]:
        yield f"who deploys may have {made} made, which no handler tells of"
    for known, actions in [(UNASKED, needed), (BESIDES, allowed)]:
        yield from (f"no action is like {pattern}" for pattern in known if not any(re.match(pattern, action) for action in actions))


def deployers_keep_to_their_stack(subject):
    """By its name; what has no name of ours, by CloudFormation alone, or only to read."""
    named = re.compile(r"\$\{StackName\}[-/]|dashboard/\$\{StackName\}$|aws-sam-cli-managed-default|:aws:transform/|deploymentconfig:CodeDeployDefault|role/aws-service-role/[\w.]+/AWSServiceRoleFor")
    for statement in statements(subject.access, "Deployer"):
        of_stack = all(named.search(resource) for resource in resources(statement))
        if not of_stack and statement.get("Condition") != VIA_CLOUDFORMATION and not all(map(READING.match, statement["Action"])):
            yield f"Deployer/{statement['Sid']} reaches other stacks"
        if any("*" in action for action in statement["Action"]):
            yield f"Deployer/{statement['Sid']} allows more than it names"
    for role in ("Deployer", "Operator"):
        if subject.access["Resources"][role]["Properties"].get("Path") != "/amble-connect-access/":
            yield f"{role} could be changed by Deployer, who may change role/<StackName>-*"


def operators_only_look(subject):
    for statement in statements(subject.access, "Operator"):
        for action in statement["Action"]:
            if not READING.match(action) or "*" in action:
                yield f"Operator/{statement['Sid']} may {action}"
            if re.match(r"lambda:(GetFunction$|GetFunctionConfiguration|ListFunctions|ListVersions)", action):
                yield f"Operator/{statement['Sid']} may {action}, which shows MEMBERSHIP_SECRETS"


def access_fits_what_iam_accepts(subject):
    for name, resource in subject.access["Resources"].items():
        if resource["Type"] == "AWS::IAM::ManagedPolicy":
            size = len(re.sub(r"\s", "", json.dumps(resource["Properties"]["PolicyDocument"])))
            if size > LIMIT:
                yield f"{name} has {size} characters, of at most {LIMIT}"


def access_spoilt_is_seen(subject):
    """The questions above, asked of an access.yaml that somebody has spoilt."""
    for question, spoil, what in [
        (deployers_may_do_what_the_stack_takes, lambda deploy, _: deploy["DeploysData"][0]["Action"].remove("dynamodb:UpdateTimeToLive"), "an action too few"),
        (deployers_may_do_what_the_stack_takes, lambda deploy, _: deploy["DeploysData"][0]["Action"].append("dynamodb:GetItem"), "an action too many"),
        (deployers_keep_to_their_stack, lambda deploy, _: deploy["DeploysData"][3].pop("Condition"), "keys of others"),
        (deployers_may_do_what_the_stack_takes, lambda deploy, _: deploy["DeploysData"].pop(2), "no role of KMS's"),
        (deployers_keep_to_their_stack, lambda deploy, _: deploy["DeploysData"][0].update(Resource="*"), "tables of others"),
        (deployers_keep_to_their_stack, lambda _, roles: roles["Deployer"].pop("Path"), "a role that can change itself"),
        (operators_only_look, lambda deploy, _: deploy["Looks"][0]["Action"].append("cloudformation:DeleteStack"), "an operator who deletes"),
        (operators_only_look, lambda deploy, _: deploy["Looks"][3]["Action"].append("lambda:GetFunctionConfiguration"), "an operator who sees secrets"),
        (access_fits_what_iam_accepts, lambda deploy, _: deploy["DeploysData"].append({"Sid": "x" * LIMIT}), "a policy too long"),
    ]:
        other = subject.with_access(read())
        parts = {name: r["Properties"] for name, r in other.access["Resources"].items()}
        spoil({name: p["PolicyDocument"]["Statement"] for name, p in parts.items() if "PolicyDocument" in p}, parts)
        if not list(question(other)):
            yield f"{what}: not seen"


def read():
    return yaml_parse(ACCESS.read_text())


def statements(access, role):
    policies = [access["Resources"][policy["Ref"]]["Properties"]["PolicyDocument"] for policy in access["Resources"][role]["Properties"]["ManagedPolicyArns"]]
    return [statement for policy in policies for statement in policy["Statement"]]


def resources(statement):
    listed = statement["Resource"] if isinstance(statement["Resource"], list) else [statement["Resource"]]
    return [one["Fn::Sub"] if isinstance(one, dict) else one for one in listed]


def listed_in(known, action):
    return any(re.match(pattern, action) for pattern in known)
