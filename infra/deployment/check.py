#!/usr/bin/env python3
"""Holds template.yaml, samconfig.toml, access.yaml, infra/edge and events/ to their promises, without an AWS account.

    python infra/deployment/check.py        needs `pip install aws-sam-cli openapi-generator-cli`, Java, and no network

`sam validate --lint` accepts much that fails or is dangerous once deployed, so the template is also transformed here,
linted again as CloudFormation, and asked one question per function below. Questions about what is deployed are asked
of both shapes: with our sign-in pages and the product's memberships on the execute-api address, and without them on a custom domain
with one signing key replacing the other. What SAM makes of Rollout and Tracing is asked of each. SAM, cfn-lint and the parser of API Gateway's
importer look at every deployment in DEPLOYMENTS besides.
"""

import base64
import contextlib
import copy
import io
import json
import logging
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from urllib.parse import parse_qsl

os.environ["SAM_CLI_TELEMETRY"] = "0"
os.environ.setdefault("AWS_DEFAULT_REGION", "us-east-1")  # the transform asks for one, and calls nobody

import boto3
from cfnlint.schema import PROVIDER_SCHEMA_MANAGER
from samcli.commands.deploy.auth_utils import auth_per_resource
from samcli.lib.providers.sam_stack_provider import SamLocalStackProvider
from samcli.yamlhelper import yaml_parse
from samtranslator.parser.parser import Parser
from samtranslator.translator.translator import Translator

import cloudformation
import declared_parameters
import edge_template
import openapi
import rights
from intrinsics import Deployment

ROOT = Path(__file__).resolve().parents[2]
ANSWERING = {"WellKnown", "Register", "Authorize", "Token", "Revoke", "Mcp", "Login", "Admin", "Membership"}  # the others have no route
FUNCTIONS = ANSWERING | {"Audit", "People"}
# The package of each function.
PACKAGES = {name: name.lower() for name in FUNCTIONS} | {"Membership": "feed"}
ALIASED = ANSWERING - {"Membership"}  # those that a deployment reaches step by step
TABLES = {"Activity", "Clients", "Directory", "Grants", "Keys", "Workspace"}
MCP = {"/api/mcp/server", "/api/mcp/server/{tenant}"}
NAMED = re.compile(r"(?<=/)\{([a-z]+)\}(?=/|$)")  # stands for one segment
SECRETS = {"code", "code_verifier", "client_secret", "token", "refresh_token", "password"}  # that of RFC 7636 appendix B is public
BASIC = "service-role/AWSLambdaBasicExecutionRole"  # SAM gives it to every function: its log lines
XRAY = "AWSXrayWriteOnlyAccess"  # and this where Tracing is Active
REQUIRED = {"Issuer": "https://connect.amble.test", "ProductName": "Amble", "SupabaseUrl": "https://abcdefghijklmnopqrst.supabase.co", "SupabasePublishableKey": "sb_publishable_x"}
# What a function reaches on the machine that it runs on: Lambda's Runtime API listens there.
OWN_MACHINE = ["http://localhost:3000", "https://a.localhost", "http://localhost.", "http://127.0.0.1:9001", "https://a.example,http://127.1", "http://0.0.0.0", "http://0x7f000001", "http://2130706433", "http://169.254.100.1:9001"]
OWN_DOMAIN = {"CertificateArn": "arn:aws:acm:us-east-1:111122223333:certificate/0-a", "HostedZoneId": "Z0123456789ABC"}
DEPLOYMENTS = {
    "by default": {},
    "with a domain of its own": OWN_DOMAIN,
    "with a login of its own": {"LoginUrl": "https://app.amble.test/sign-in"},
    "beside the product": {"ResourceUrl": "https://app.amble.test/api/mcp/server", "AdminPath": "/connect/admin", "AuthPath": "/connect/auth"},
    "with two keys": {"SigningKeys": "first,second", "SecondSigningKeySpec": "ECC_NIST_P256"},
    "on x86_64": {"Architecture": "x86_64"},
    "with a captcha": {"CaptchaProvider": "turnstile", "CaptchaSiteKey": "1x00000000000000000000AA"},
    "with memberships": {"MembershipSecrets": "whsec_" + "a" * 32, "SupabaseSecretKey": "sb_secret_" + "a" * 32},
    "with forwarded addresses": {"ForwardingSecret": "arn:aws:secretsmanager:us-east-1:111122223333:secret:key-AbCdEf"},
    "with an edge": OWN_DOMAIN | {"EdgeSecretDigests": "0" * 64 + "," + "1" * 64, "EdgeOnly": "yes", "EdgeAddress": "d111111abcdef8.cloudfront.net", "ClientAddress": "cloudfront"},
    "with all there is": OWN_DOMAIN
    | {"SigningKeys": "second,first", "LoginUrl": "https://app.amble.test/sign-in", "ToolFunctions": "arn:aws:lambda:us-east-1:111122223333:function:a", "McpConcurrency": "50", "AlarmEmail": "ops@amble.test", "MonthlyBudget": "100", "DetailedMetrics": "Enabled"},
}

# ---------------------------------------------------------------------------------------------------------- The questions


def sam_finds_nothing(_):
    for environment in ("default", "prod"):
        run = subprocess.run([sys.executable, "-m", "samcli", "validate", "--lint", "--config-env", environment], cwd=ROOT, capture_output=True, text=True)
        if run.returncode:
            yield f"{environment}: {(run.stdout + run.stderr).strip()}"


def cloudformation_finds_nothing(subject):
    # W1028: SAM repeats a function's condition inside the condition that it puts around the function's routes.
    # W2001, W7001: SAM itself has used Rollout and Rollouts; that parameters are used is asked below.
    deployed = {tuple(given.items()): subject.translate(**(REQUIRED | given)) for given in DEPLOYMENTS.values()}
    for given, transformed in (subject.variants | deployed).items():
        transformed = copy.deepcopy(transformed)
        for name, value in given:
            transformed["Parameters"][name].update(Default=value, AllowedValues=[value])  # what it was transformed for
        regions = ["us-east-1", "eu-west-1"] if given in subject.variants else ["us-east-1"]
        yield from cloudformation.findings(transformed, regions, ["W1028", "W2001", "W7001"])


def api_gateway_imports_without_a_word(subject):
    """The flag FailOnWarnings is off, so nobody would hear of it; a route could be left out."""
    asked = {}
    for name, given in DEPLOYMENTS.items():
        body = Deployment(subject.transformed, REQUIRED | given).value(subject.transformed["Resources"]["Api"]["Properties"]["Body"])
        document = json.dumps(body)
        if document not in asked:
            asked[document] = openapi.messages(body)
        yield from (f"{name}: {message}" for message in asked[document])
        if not body["paths"]:
            yield f"{name}: there is nothing to import"


def nothing_waits_for_itself(subject):
    for transformed in subject.variants.values():
        waits = {name: references({key: resource.get(key, {}) for key in ("Properties", "UpdatePolicy")}) | set(listed(resource.get("DependsOn", []))) for name, resource in transformed["Resources"].items()}
        while free := {name for name, on in waits.items() if not on & waits.keys()}:
            waits = {name: on for name, on in waits.items() if name not in free}
        if waits:
            yield f"in a circle, or behind one: {sorted(waits)}"


def nothing_refers_to_what_is_left_out(subject):
    for shape in subject.shapes:
        known = shape.resources.keys() | subject.template["Parameters"].keys()
        for name in sorted(references({"Resources": shape.resources, "Outputs": shape.outputs})):
            if name not in known and not name.startswith("AWS::"):
                yield f"{shape}: {name} is referred to and not there"


def parameters_are_all_used(subject):
    used = references(subject.template["Resources"]) | references(subject.template["Conditions"]) | references(subject.template["Globals"])
    yield from (f"{name} is not used" for name in subject.template["Parameters"] if name not in used)
    yield from declared_parameters.ungrouped(subject.template)


def parameters_refuse_what_cannot_work(subject):
    function = "arn:aws:lambda:eu-west-1:123456789012:function:invoices"
    yield from declared_parameters.misjudged(subject.template, [
        ("Issuer", ["https://connect.example.com", "https://abc123.execute-api.us-east-1.amazonaws.com"], ["", "http://connect.example.com", "https://connect.example.com/", "https://connect.example.com/x", "https://Connect.example.com", "https://connect.example.com:443", "https://localhost", "https://a.b?c", " https://a.b"]),
        ("CertificateArn", ["", "arn:aws:acm:eu-west-1:123456789012:certificate/0-a"], ["x", "arn:aws:iam::123456789012:server-certificate/x"]),
        ("HostedZoneId", ["", "Z0123456789ABC"], ["example.com"]),
        ("ResourceUrl", ["", "https://app.example.com/api/mcp/server"], ["https://app.example.com", "https://app.example.com/", "https://app.example.com/mcp", "https://app.example.com/api/mcp/server/", "https://app.example.com:8443/api/mcp/server", "http://app.example.com/api/mcp/server", "https://App.example.com/api/mcp/server"]),
        *(
            (path, ["/admin", "/auth", "/connect/admin", "/api/connect", "/sign-in", "/oauth2"], ["", "/", "admin", "/admin/", "//admin", "/Admin", "/a_b", "/a.b", "/-a", "/oauth", "/oauth/admin", "/api", "/api/mcp/admin", "/hooks/a", "/tools", "/workspace", "/.well-known/a", "/{a}"])
            for path in ("AdminPath", "AuthPath")
        ),
        ("ProductName", ["Amble", "A"], ["", " Amble", "Amble ", "x" * 65]),
        ("Logo", ["", "data:image/svg+xml;base64,PHN2Zy8+", "data:image/png;base64,iVBORw0KGgo="], ["https://cdn.example/logo.svg", "data:text/html;base64,PHN2Zy8+", "data:image/svg+xml,<svg/>", "data:image/png;base64,"]),
        ("AccentColor", ["", "#1d4ed8", "#FFCC00"], ["1d4ed8", "#1d4ed", "red", "#1d4ed8;"]),
        ("SupportUrl", ["", "https://help.example.com/connect", "mailto:help@example.com"], ["http://help.example.com", "javascript:alert(1)", "https://user@example.com", "help@example.com"]),
        ("SupabaseUrl", ["https://abc.supabase.co", "https://auth.example.com/base"], ["", "http://abc.supabase.co", "https://abc.supabase.co/", "https://abc.supabase.co?x"]),
        ("SupabasePublishableKey", ["sb_publishable_x", "eyJx.eyJy.z"], ["", "sb_secret_x"]),
        ("SupabaseIssuer", ["", "https://auth.example.com/auth/v1"], ["https://auth.example.com/auth/v1/", "auth.example.com"]),
        ("SessionCookie", ["", "acme-session"], ["a b", "a;b", "a=b"]),
        ("LoginUrl", ["", "https://connect.example.com/sign-in"], ["/sign-in", "http://connect.example.com/sign-in", "https://a.b/#c", "https://a.b/ c"]),
        ("CaptchaSiteKey", ["", "1x00000000000000000000AA", "0x4AAAAAAADnPIDROrmt1Wwj", "10000000-ffff-ffff-ffff-000000000001"], ["1x0000000000000000000000000000000AA", "0x0000000000000000000000000000000000000000", "ES_0123456789", "10000000-ffff", '1x0"><script>']),
        ("AllowedOrigins", ["", "https://a.example", "https://a.example,http://localhost:6274"], ["*", "https://a.example/", "https://a.example, https://b.example", "https://a.example,"]),
        ("ClientMetadataHosts", ["", "claude.ai", "claude.ai,app.example"], ["*", "https://claude.ai", "claude.ai,", "Claude.ai", "claude.ai, app.example"]),
        ("DefaultScopes", ["skills:read", "views:read entities:write offline_access"], ["", "offline_access", "skills:read,views:read", "connections:manage", "skills:read  views:read"]),
        ("VouchedHosts", ["", "claude.ai,apps.example.com"], ["*", "https://claude.ai", "claude.ai,", "Claude.ai", "claude.ai, app.example"]),
        *((name, ["", "https://tools.example.com", "https://a.example,http://10.0.0.5:8080", "https://localhost.example.com"], ["*", "tools.example.com", *OWN_MACHINE]) for name in ("OutboundAllow", "ClientMetadataAllow")),
        ("AlarmEmail", ["", "ops@example.com"], ["ops", "a@b", "a@example.com,b@example.com", "a b@example.com"]),
        ("ToolFunctions", ["", function, f"{function}:live", f"{function},{function}:$LATEST"], ["*", f"{function}*", f"{function}:*", f"{function}, {function}", f"{function},", "invoices", function.replace("123456789012", "*")]),
        ("ForwardingSecret", ["", "arn:aws:secretsmanager:eu-west-1:123456789012:secret:supabase/sign-in-AbCdEf"], ["sb_secret_" + "a" * 32, "arn:aws:secretsmanager:eu-west-1:123456789012:secret:*", "supabase/sign-in"]),
        ("SupabaseSecretKey", ["", "none", "sb_secret_" + "a" * 32], ["sb_publishable_" + "a" * 32, "sb_secret_", "eyJ" + "a" * 32]),
        ("MembershipSecrets", ["", "none", "whsec_" + "a" * 32, "whsec_" + "a" * 43 + "=", "whsec_" + "a" * 86 + "==," + "whsec_" + "a" * 32], ["a" * 32, "whsec_" + "a" * 31, "whsec_" + "-" * 32, "whsec_" + "a" * 32 + ","]),
    ])


def configuration_fits_the_template(subject):
    for name, environment in configuration().items():
        if len(environment["global"]["parameters"]["stack_name"]) > 32:
            yield f"{name}: the stack's name has more than 32 characters, and the role in the key's policy is named after it"
        yield from (f"{name}: {command} has values of its own, and sam build and sam deploy could differ" for command in environment if command != "global" and "parameter_overrides" in environment[command]["parameters"])
        given = environment["global"]["parameters"]["parameter_overrides"]
        for parameter, value in given.items():
            described = subject.template["Parameters"].get(parameter)
            if not described:
                yield f"{name}: there is no parameter {parameter}"
            elif "AllowedPattern" in described and not re.fullmatch(described["AllowedPattern"], value):
                yield f"{name}: {parameter}={value} is refused"
            elif "AllowedValues" in described and value not in map(str, described["AllowedValues"]):
                yield f"{name}: {parameter}={value} is refused"
        yield from (f"{name}: {p} is missing" for p, d in subject.template["Parameters"].items() if "Default" not in d and p not in given)
        if environment["deploy"]["parameters"].get("on_failure") != "DELETE":
            yield f"{name}: a first deployment that fails leaves a stack that no second one can update"
    names = [environment["global"]["parameters"]["stack_name"] for environment in configuration().values()]
    yield from (f"who may change {one}-* may change {other}" for one in names for other in names if one != other and other.startswith(f"{one}-"))


def placeholders_are_refused(subject):
    """Each by a sentence that says what belongs there; and what belongs there is not."""
    for name, environment in configuration().items():
        given = environment["global"]["parameters"]["parameter_overrides"]
        placeholders = {p for p in given if p in REQUIRED.keys() | OWN_DOMAIN.keys()}
        refusals = [sentence.partition(" ")[0] for sentence in Deployment(subject.template, given).refusals() if "is still the placeholder" in sentence]
        if sorted(refusals) != sorted(placeholders):
            yield f"{name}: of {sorted(placeholders)} as they are committed, refused are {sorted(refusals)}"
    for name, given in DEPLOYMENTS.items():
        yield from (f"{name}: {sentence}" for sentence in Deployment(subject.template, REQUIRED | given).refusals())
    for given, said in [
        ({"HostedZoneId": "Z1"}, "CertificateArn"),
        ({"MonthlyBudget": "5"}, "AlarmEmail"),
        ({"EdgeAddress": "d1.cloudfront.net"}, "zone"),
        ({"EdgeOnly": "yes"}, "EdgeSecretDigests"),
        ({"EdgeOnly": "yes", "EdgeSecretDigests": "0" * 64}, "ClientAddress"),
        ({"ClientAddress": "cloudfront"}, "EdgeSecretDigests"),
        ({"ClientAddress": "unknown", "ForwardingSecret": "arn:aws:secretsmanager:us-east-1:111122223333:secret:key"}, "ClientAddress"),
        ({"AdminPath": "/connect", "AuthPath": "/connect"}, "the same path"),
        ({"CaptchaProvider": "turnstile"}, "CaptchaSiteKey"),
        ({"CaptchaSiteKey": "1x00000000000000000000AA"}, "CaptchaProvider"),
    ]:
        if not any(said in sentence for sentence in Deployment(subject.template, REQUIRED | given).refusals()):
            yield f"{given} is accepted without {said}"


def a_guided_deployment_can_be_answered(subject):
    """`sam deploy --guided` asks about each route that it takes for open, with no as the default, and offers a NoEcho parameter no default at all."""
    stacks, _ = SamLocalStackProvider.get_stacks(str(ROOT / "template.yaml"))
    yield from (f"SAM asks whether {function} may go without authentication" for function, known in auth_per_resource(stacks) if not known)
    yield from (f"{name} cannot be left out" for name, described in subject.template["Parameters"].items() if described.get("NoEcho") and not re.fullmatch(described["AllowedPattern"], "none"))


def nothing_is_reserved_or_paid_unasked(subject):
    plain = Shape(subject.transformed, Deployment(subject.transformed, REQUIRED).conditions())
    if plain.stage["DefaultRouteSettings"]["DetailedMetricsEnabled"]:
        yield "API Gateway keeps metrics of every route"
    yield from (f"{name} reserves concurrency, which a new account refuses" for name, function in plain.of("AWS::Lambda::Function").items() if "ReservedConcurrentExecutions" in function)
    if plain.of("AWS::Budgets::Budget"):
        yield "there is a budget of nothing"
    whole = Shape(subject.transformed, Deployment(subject.transformed, REQUIRED | DEPLOYMENTS["with all there is"]).conditions())
    if not whole.stage["DefaultRouteSettings"]["DetailedMetricsEnabled"] or "ReservedConcurrentExecutions" not in whole.of("AWS::Lambda::Function")["Mcp"] or not whole.of("AWS::Budgets::Budget"):
        yield "what is asked for is not there"
    near = plain.of("AWS::CloudWatch::Alarm")["AccountNearConcurrency"]
    percent, claimed = near["Metrics"]
    if (near["Threshold"], percent["Expression"], claimed["MetricStat"]["Metric"]) != (80, {"Fn::Sub": "100 * claimed / ${AccountConcurrency}"}, {"Namespace": "AWS/Lambda", "MetricName": "ClaimedAccountConcurrency"}):
        yield "no alarm at 80 % of AccountConcurrency"


def routes_are_exact(subject):
    for shape in subject.shapes:
        for route in shape.routes:
            method, path = route.split(" ")
            bare = route.rstrip("/") if route.rstrip("/") in shape.routes else route  # a slash at the end stands beside the same path without
            if method not in {"GET", "HEAD", "POST", "DELETE", "OPTIONS"} or re.search(r"[{}$*]|/$|//", NAMED.sub("x", bare.split(" ")[1])):
                yield f"{shape}: {route} is not one method at one path"
        if shape.stage["StageName"] != "$default":
            yield f"{shape}: the stage {shape.stage['StageName']} would stand in every path"


def cors_belongs_to_the_functions(subject):
    for shape in subject.shapes:
        if "x-amazon-apigateway-cors" in shape.api["Body"] or "CorsConfiguration" in shape.api:
            yield f"{shape}: API Gateway answers OPTIONS itself, on authorize too"
        for route, function in shape.routes.items():
            crossed = f"OPTIONS {route.split(' ')[1]}" in shape.routes
            if crossed != (function not in {"Admin", "Authorize", "Login", "Membership"}):
                yield f"{shape}: {route} {'has' if crossed else 'lacks'} OPTIONS"


def login_is_left_out_for_another(subject):
    with_login, without = subject.shapes
    ours = {route for route in with_login.routes if route.split(" ")[1].startswith("/auth/")}
    if not ours or {with_login.routes[route] for route in ours} != {"Login"}:
        yield "the routes under /auth/ are not Login's"
    hook = {"POST /hooks/membership"}
    if without.routes.keys() != with_login.routes.keys() - ours - hook:
        yield "a LoginUrl takes away other routes than those under /auth/, or no MembershipSecrets more than /hooks/membership"
    yield from (f"{name} stays although LoginUrl is given" for name in without.resources if name.startswith("Login"))
    yield from (f"{name} stays although there are no MembershipSecrets" for name in without.resources if name.startswith("Membership"))
    # Its alarm stays: the dashboard shows it, and it has nothing to hear.
    people = {name for name in without.resources if name.startswith("People")} - {"PeopleFails"}
    yield from (f"{name} stays although there is no SupabaseSecretKey" for name in people)


def every_route_may_invoke_its_function(subject):
    for shape in subject.shapes:
        permitted = {}
        for permission in shape.of("AWS::Lambda::Permission").values():
            if permission["Principal"] == "logs.amazonaws.com":
                continue  # asked below
            if permission["Principal"] == "events.amazonaws.com":
                if permission["FunctionName"] != {"Ref": "People"} or permission["SourceArn"] != {"Fn::GetAtt": ["PeopleHourly", "Arn"]}:
                    yield f"{shape}: a schedule invokes {permission['FunctionName']}"
                continue
            source, names = permission["SourceArn"]["Fn::Sub"]
            if names["__ApiId__"] != {"Ref": "Api"} or permission["Principal"] != "apigateway.amazonaws.com":
                yield f"{shape}: something else than our API may invoke {permission['FunctionName']}"
            method, path = source.split("${__Stage__}/")[1].split("/", 1)
            permitted[f"{method} /{path}"] = permission["FunctionName"]["Ref"]
        # SAM leaves the slash at a path's end out of its permissions, so the template says these itself, for every method.
        route_of_permission = lambda route: re.sub(r"^\w+ (.*/)$", r"* \1", NAMED.sub("*", route))
        routes = {route_of_permission(route): shape.aliases.get(function, function) for route, function in shape.routes.items()}
        if permitted != routes:
            yield f"{shape}: permissions and routes differ: {sorted(set(permitted.items()) ^ set(routes.items()))}"


def throttles_name_routes_that_exist(subject):
    for shape in subject.shapes:
        yield from (f"{shape}: {route} is throttled and not there" for route in shape.stage["RouteSettings"] if route not in shape.routes)
        for route in ["POST /oauth/register", "GET /oauth/authorize", "POST /oauth/authorize", "GET /admin", "GET /admin/api/me/connections"]:
            if route not in shape.stage["RouteSettings"]:
                yield f"{shape}: {route} works for anybody and has no throttle of its own"


def challenge_finds_its_header(subject):
    """API Gateway may rename WWW-Authenticate; X-Challenge carries it past (RFC 9110 section 11.6.1 wants it on every 401)."""
    wanted = {"overwrite:header.www-authenticate": "$response.header.x-challenge", "remove:header.x-challenge": "''"}
    reserved = re.compile(r"access-control-|apigw-|x-amzn?-|(authorization|connection|content-(encoding|length|location)|forwarded|keep-alive|origin|proxy-auth.*|te|trailers|transfer-encoding|upgrade|x-forwarded-(for|host|proto)|via)$")
    for shape in subject.shapes:
        for path, methods in shape.api["Body"]["paths"].items():
            for method, operation in methods.items():
                integration = operation["x-amazon-apigateway-integration"]
                if integration["type"] != "aws_proxy" or integration["payloadFormatVersion"] != "2.0":
                    yield f"{shape}: {method} {path} does not send events of version 2.0"
                mapping = integration.get("responseParameters", {})
                if path in MCP and method != "options" and mapping != {"401": wanted, "403": wanted}:
                    yield f"{shape}: {method} {path} loses its challenge"
                for status in mapping.values():
                    yield from (f"{shape}: {key} is refused by API Gateway" for key in status if reserved.match(key.partition("header.")[2]))


def policies_say_what_each_may_do(subject):
    for shape in subject.shapes:
        for function in shape.functions:
            role = shape.resources[f"{function}Role"]["Properties"]
            if [arn.rpartition("policy/")[2] for arn in role["ManagedPolicyArns"]] != [BASIC]:
                yield f"{function} has managed policies: {role['ManagedPolicyArns']}"
            if {key for key in role if "Polic" in key} - {"ManagedPolicyArns", "Policies", "AssumeRolePolicyDocument"}:
                yield f"{function}'s role has more than its own policies"
            for statement in shape.statements(function):
                if statement.keys() - {"Sid", "Effect", "Action", "Resource", "Condition"} or statement["Effect"] != "Allow":
                    yield f"{function}/{statement.get('Sid')} is not a plain permission"
                if "*" in json.dumps([statement["Action"], statement["Resource"]]):
                    yield f"{function}/{statement['Sid']} has a wildcard"
                if any(action.startswith("dynamodb:Scan") for action in statement["Action"]) and function != "People":  # no request waits for it
                    yield f"{function}/{statement['Sid']} may scan"
                if "/index/" in json.dumps(statement["Resource"]) and statement["Action"] != ["dynamodb:Query"]:
                    yield f"{function}/{statement['Sid']} does more than query an index"


def conditions_on_keys_are_about_one_item(subject):
    """AWS documents dynamodb:LeadingKeys and dynamodb:Attributes for calls for one table. Batches and transactions are for several here, so nothing hangs on them."""
    single = {"Admin": {"GetItem", "UpdateItem"}, "Membership": {"Query", "UpdateItem"}, "People": {"Query", "UpdateItem"}, "Token": {"UpdateItem"}, "Revoke": {"UpdateItem"}, "Login": {"GetItem", "UpdateItem"}}
    for shape in subject.shapes:
        for function in shape.functions:
            for statement in shape.statements(function):
                if "dynamodb:" in json.dumps(statement.get("Condition")) and {action.partition(":")[2] for action in statement["Action"]} - single.get(function, set()):
                    yield f"{shape}: {function}/{statement['Sid']} hangs on how IAM evaluates {statement['Condition']}"


def policies_and_settings_agree(subject):
    """A function that knows a table's or key's name may use it, and the other way round."""
    for shape in subject.shapes:
        for function in shape.functions:
            settings = shape.resources[function]["Properties"]["Environment"]["Variables"]
            for table in TABLES:
                told, may = f"TABLE_{table.upper()}" in settings, table in references(shape.statements(function))
                if told != may:
                    yield f"{function} is {'told' if told else 'not told'} the name of {table} and may{'' if may else ' not'} use it"
                if told and settings[f"TABLE_{table.upper()}"] != {"Ref": table}:
                    yield f"{function} is told another name for {table}"
            for setting, value in settings.items():
                parameter = value.get("Ref", "") if isinstance(value, dict) else ""
                if not setting.startswith("TABLE_") and setting not in {"REFRESH_TOKEN_KEY", "SIGNING_KEYS", "TOOL_SIGNING_KEYS", "SETTINGS", "STACK_ID"} and setting != re.sub(r"(?<=[a-z])(?=[A-Z])", "_", parameter).upper():
                    yield f"{function}: {setting} is not the parameter of its name"
            known = {key for setting in ("SIGNING_KEYS", "TOOL_SIGNING_KEYS") if setting in settings for key in shape.keys_of(setting)}
            readable = {arn["Fn::GetAtt"][0] for statement in shape.statements(function) if "kms:GetPublicKey" in statement["Action"] for arn in statement["Resource"]}
            if known != readable:
                yield f"{function} is told the names of {sorted(known)} and may read {sorted(readable)}"


def each_signs_with_its_own_keys(subject):
    """Access tokens are signed by Token's role alone, tool tokens by Mcp's, and neither has the other's keys."""
    condition = {"StringEquals": {"kms:SigningAlgorithm": ["RSASSA_PKCS1_V1_5_SHA_256", "ECDSA_SHA_256"], "kms:MessageType": "RAW"}}
    signers = {"Token": "SIGNING_KEYS", "Mcp": "TOOL_SIGNING_KEYS"}
    for shape in subject.shapes:
        signing = [(function, statement) for function in shape.functions for statement in shape.statements(function) if "kms:Sign" in statement["Action"]]
        if sorted(function for function, _ in signing) != sorted(signers):
            yield f"{shape}: signing is allowed to {[function for function, _ in signing]}"
        for function, statement in signing:
            own = [{"Fn::GetAtt": [key, "Arn"]} for key in shape.keys_of(signers.get(function, ""))]
            if statement["Condition"] != condition or statement["Action"] != ["kms:Sign"] or statement["Resource"] != own:
                yield f"{shape}: {function} may sign more than tokens, or with other keys than its own"
        for setting in signers.values():
            if len({json.dumps({**shape.keys[key], "KeySpec": ""}) for key in shape.keys_of(setting)}) != 1:
                yield f"{shape}: the keys of {setting} differ in more than their spec"
        yield from (f"{shape}: {name} stays in one region, and cannot be changed later" for name, key in shape.keys.items() if key.get("MultiRegion") is not True)
        for function, setting in signers.items():
            for statement in (statement for key in shape.keys_of(setting) for statement in shape.keys[key]["KeyPolicy"]["Statement"]):
                actions = [statement["Action"]] if isinstance(statement["Action"], str) else statement["Action"]
                if any("*" in action or action == "kms:CreateGrant" for action in actions):
                    yield f"{shape}: {statement['Sid']} in the key's policy allows more than it names, or passing it on"
                if statement["Sid"] == "AccountManages" and not {"kms:ReplicateKey", "kms:UpdatePrimaryRegion"} <= set(actions):
                    yield f"{shape}: no other region can have the key"
                roles = [role["Fn::Sub"].partition(":role/")[2] for role in statement.get("Condition", {}).get("ArnLike", {}).get("aws:PrincipalArn", [])]
                if "kms:Sign" in actions and roles != [f"${{AWS::StackName}}-{function}Role-*"]:
                    yield f"{shape}: {statement['Sid']} in the policy of a key of {setting} lets others sign"



def token_alone_derives_the_key_of_refresh_tokens(subject):
    key, condition = {"Fn::GetAtt": ["RefreshTokenKey", "Arn"]}, {"StringEquals": {"kms:MacAlgorithm": "HMAC_SHA_256"}}
    for shape in subject.shapes:
        for function in shape.functions:
            statements = [statement for statement in shape.statements(function) if any("Mac" in action for action in statement["Action"])]
            expected = [(["kms:GenerateMac"], key, condition)] if function == "Token" else []
            if [(statement["Action"], statement["Resource"], statement.get("Condition")) for statement in statements] != expected:
                yield f"{shape}: {function} may derive other things than it should"
            settings = shape.resources[function]["Properties"]["Environment"]["Variables"]
            if settings.get("REFRESH_TOKEN_KEY") != (key if function == "Token" else None):
                yield f"{shape}: {function} is told a key of refresh tokens that is not its own"


def only_named_functions_are_invoked(subject):
    for shape in subject.shapes:
        invoking = [(function, statement) for function in shape.functions for statement in shape.statements(function) if "lambda:" in json.dumps(statement["Action"])]
        if bool(invoking) != shape.invokes_tools:
            yield f"{shape}: without ToolFunctions something may be invoked, or with them nothing"
        for function, statement in invoking:
            if function != "Mcp" or statement["Action"] != ["lambda:InvokeFunction"] or statement["Resource"] != {"Fn::Split": [",", {"Ref": "ToolFunctions"}]}:
                yield f"{shape}: {function} may invoke more than ToolFunctions"


def what_must_last_lasts(subject):
    for shape in subject.shapes:
        tables = {name: shape.resources[name] for name in TABLES}
        if shape.of("AWS::DynamoDB::Table").keys() != TABLES:
            yield f"{shape}: the tables are {sorted(shape.of('AWS::DynamoDB::Table'))}"
        for name, resource in {**tables, **{key: shape.resources[key] for key in [*shape.keys, "AuditLog"]}}.items():
            # A create that fails could not delete a table, which is protected.
            if resource.get("DeletionPolicy") != ("Retain" if name in TABLES else "RetainExceptOnCreate") or resource.get("UpdateReplacePolicy") != "Retain":
                yield f"{name} is deleted with the stack, or kept when its creation fails"
        for name, table in ((name, resource["Properties"]) for name, resource in tables.items()):
            if table["BillingMode"] != "PAY_PER_REQUEST" or not table["DeletionProtectionEnabled"] or not table["PointInTimeRecoverySpecification"]["PointInTimeRecoveryEnabled"]:
                yield f"{name} is not on demand, protected and recoverable"
            expires = table.get("TimeToLiveSpecification") == {"AttributeName": "expires", "Enabled": True}
            if not expires:
                yield f"{name} never expires"
            keys = [key["AttributeName"] for index in [table, *table.get("GlobalSecondaryIndexes", [])] for key in index["KeySchema"]]
            if set(keys) != {definition["AttributeName"] for definition in table["AttributeDefinitions"]}:
                yield f"{name} defines other attributes than its keys use"


def a_stack_can_be_made_again(subject):
    """What outlives a stack bears no name of ours, or the next stack of that name could not be made."""
    for shape in subject.shapes:
        for name, resource in shape.resources.items():
            if resource.get("DeletionPolicy", "Delete") == "Delete":
                continue
            schema = PROVIDER_SCHEMA_MANAGER.get_resource_schema("us-east-1", resource["Type"]).schema
            named = {identifier.rpartition("/")[2] for identifier in schema["primaryIdentifier"]} & resource["Properties"].keys()
            yield from (f"{shape}: {name} outlives the stack and is always called the same ({identifier})" for identifier in named)


def logs_end_and_tell_no_secret(subject):
    for shape in subject.shapes:
        groups = shape.of("AWS::Logs::LogGroup")
        for name, group in groups.items():
            if group.get("RetentionInDays") != {"Ref": "AuditRetentionDays" if name == "AuditLog" else "LogRetentionDays"}:
                yield f"{name} is not kept for as long as its parameter says"
        for function in shape.functions:
            properties = shape.resources[function]["Properties"]
            logging_config, own = properties["LoggingConfig"], groups.get(f"{function}Log", {})
            if logging_config["LogFormat"] != "JSON" or logging_config.get("LogGroup") != {"Ref": f"{function}Log"}:
                yield f"{function} does not write JSON to a group of its own"
            if own.get("LogGroupName") != (None if function == "Audit" else {"Fn::Sub": f"/aws/lambda/{properties['FunctionName']['Fn::Sub']}"}):
                yield f"{function}'s group is not named after it"
        access = json.loads(shape.stage["AccessLogSettings"]["Format"])
        allowed = {"requestId", "requestTime", "routeKey", "status", "identity.sourceIp", "identity.userAgent", "responseLatency", "integrationLatency", "responseLength", "error.message", "integrationErrorMessage"}
        yield from (f"the access log tells {value}" for value in access.values() if value.removeprefix("$context.") not in allowed)
        if "$context.requestId" not in access.values():
            yield "API Gateway demands $context.requestId in the access log"


def audit_hears_every_function_but_itself(subject):
    for shape in subject.shapes:
        filters, permissions = shape.of("AWS::Logs::SubscriptionFilter"), shape.of("AWS::Lambda::Permission")
        heard = {f["LogGroupName"]["Ref"] for f in filters.values()}
        if heard != {f"{function}Log" for function in shape.functions - {"Audit"}}:
            yield f"{shape}: Audit hears {sorted(heard)}"
        if any(f["FilterPattern"] != '{ $.target = "audit" }' or f["DestinationArn"] != {"Fn::GetAtt": ["Audit", "Arn"]} for f in filters.values()):
            yield f"{shape}: something else than the audit's lines goes to Audit, or they go elsewhere"
        telling = [p for p in permissions.values() if p["Principal"] == "logs.amazonaws.com"]
        if {p["SourceArn"]["Fn::GetAtt"][0] for p in telling} != heard or any(p["FunctionName"] != {"Ref": "Audit"} or p["SourceAccount"] != {"Ref": "AWS::AccountId"} for p in telling):
            yield f"{shape}: who may tell Audit is not who does"
        audit = shape.resources["Audit"]["Properties"]
        if audit["LoggingConfig"].get("SystemLogLevel") != "WARN":
            yield "the platform writes into the audit log"
        config = next(iter(shape.of("AWS::Lambda::EventInvokeConfig").values()))
        if config["DestinationConfig"]["OnFailure"]["Destination"] != {"Fn::GetAtt": ["AuditUndelivered", "Arn"]}:
            yield "what Audit cannot take is lost"


def alarms_reach_somebody(subject):
    for shape in subject.shapes:
        alarms = shape.of("AWS::CloudWatch::Alarm")
        for name, alarm in alarms.items():
            if alarm["AlarmActions"] != [{"Ref": "Alarms"}] or alarm["TreatMissingData"] != "notBreaching":
                yield f"{name} tells nobody, or tells that nothing happened"
            for metric in [alarm, *(m["MetricStat"]["Metric"] for m in alarm.get("Metrics", []) if "MetricStat" in m)]:
                if "MetricName" in metric and metric["Namespace"] == "AmbleConnect" and {"Name": "Stack", "Value": {"Ref": "AWS::StackName"}} not in metric["Dimensions"]:
                    yield f"{name} listens to other stacks as well"
        body = next(iter(shape.of("AWS::CloudWatch::Dashboard").values()))["DashboardBody"]["Fn::Sub"]
        json.loads(body)
        shown = set(re.findall(r"\$\{(\w+)\.Arn\}", body))
        if shown != alarms.keys():
            yield f"the dashboard does not show {sorted(shown ^ alarms.keys())}"


def settings_number_whatever_functions_are_told(subject):
    """What a version is made of, by whatever way, stands in Settings; else a change of it would be deployed and not be in force."""
    parameters = subject.template["Parameters"]
    for transformed in subject.variants.values():
        resources, told = transformed["Resources"], set()
        for function in ALIASED:
            versioned = {key: value for key, value in resources[function]["Properties"].items() if key != "ReservedConcurrentExecutions"}  # counts at once
            told |= references(versioned) | decided_by(versioned, transformed["Conditions"])
        told &= parameters.keys() | TABLES | {name for name, resource in resources.items() if resource["Type"] == "AWS::KMS::Key"}
        numbered = references(resources["Settings"]["Properties"]["Content"])
        yield from (f"a changed {name} would be deployed and not be in force" for name in sorted(told - numbered))
        yield from (f"{name} changes nothing that has versions, and would have all of them replaced" for name in sorted(numbered - told - {"Tracing"}))  # Tracing: told only if it is Active
        yield from (f"{name} is a secret, and Settings tells it" for name in sorted(numbered & parameters.keys()) if parameters[name].get("NoEcho"))


def a_change_publishes_versions(subject):
    """That CloudFormation replaces a version for its description and numbers settings for their content is said by their schemas."""
    for kind, replacing, numbering in [("AWS::Lambda::Version", "Description", "Version"), ("AWS::AppConfig::HostedConfigurationVersion", "Content", "VersionNumber")]:
        schema = PROVIDER_SCHEMA_MANAGER.get_resource_schema("us-east-1", kind).schema
        if f"/properties/{replacing}" not in schema["createOnlyProperties"] or f"/properties/{numbering}" not in schema["readOnlyProperties"]:
            yield f"{kind} is not replaced for another {replacing}, or has no {numbering} of its own"
    names = [{name for name in subject.variants[given]["Resources"] if "Version" in name} for given in [(), (("Rollout", "AllAtOnce"),)]]
    if names[0] != names[1]:
        yield "another Rollout alone would publish versions, and Lambda has nothing to publish"
    for transformed in subject.variants.values():
        resources = transformed["Resources"]
        versions = {r["Properties"]["FunctionName"]["Ref"]: name for name, r in resources.items() if r["Type"] == "AWS::Lambda::Version"}
        aliases = {r["Properties"]["FunctionName"]["Ref"]: r["Properties"] for r in resources.values() if r["Type"] == "AWS::Lambda::Alias"}
        if versions.keys() != ALIASED or aliases.keys() != ALIASED:
            yield f"versions are published of {sorted(versions)}, and {sorted(aliases)} have an alias"
        for function, version in versions.items():
            if resources[version]["Properties"].get("Description") != {"Fn::Sub": "settings ${Settings.VersionNumber}"}:
                yield f"{function}: no new version when a setting changes"
            if resources[function]["Properties"]["Environment"]["Variables"].get("SETTINGS") != {"Fn::GetAtt": ["Settings", "VersionNumber"]}:
                yield f"{function}: Lambda has nothing to publish when a setting changes, and the deployment fails"
            if aliases.get(function, {}).get("FunctionVersion") != {"Fn::GetAtt": [version, "Version"]} or aliases[function]["Name"] != "live":
                yield f"{function}: the alias live does not follow its version"
            if resources[version].get("DeletionPolicy", "Delete") != "Delete" or "UpdateReplacePolicy" in resources[version]:
                yield f"{function}: versions pile up, and after one has failed the same cannot be published again"
            if subject.template["Resources"][function]["Properties"].get("AutoPublishAliasAllProperties") is not True:
                yield f"{function}: no new version when its text changes, only when its code does"


def a_rollout_watches_and_goes_back(subject):
    for given, transformed in subject.variants.items():
        resources, shifts = transformed["Resources"], dict(given).get("Rollout") != "AllAtOnce"
        groups = {name: r for name, r in resources.items() if r["Type"] == "AWS::CodeDeploy::DeploymentGroup"}
        if groups.keys() != ({f"{function}DeploymentGroup" for function in ALIASED} if shifts else set()):
            yield f"{given}: CodeDeploy shifts {sorted(groups)}"
        for function in ALIASED:
            alias = resources[f"{function}Aliaslive"]
            if alias.get("UpdatePolicy") != ({"CodeDeployLambdaAliasUpdate": {"ApplicationName": {"Ref": "ServerlessDeploymentApplication"}, "DeploymentGroupName": {"Ref": f"{function}DeploymentGroup"}}} if shifts else None):
                yield f"{given}: {function}'s alias moves in another way"
        for name, group in groups.items():
            properties = group["Properties"]
            if group.get("Condition") != resources[name.removesuffix("DeploymentGroup")].get("Condition"):
                yield f"{name} does not come and go with its function"
            if properties["DeploymentConfigName"]["Fn::Sub"] != ["CodeDeployDefault.Lambda${ConfigName}", {"ConfigName": dict(given).get("Rollout", subject.template["Parameters"]["Rollout"]["Default"])}]:
                yield f"{name} does not go about it as Rollout says"
            if not {"DEPLOYMENT_FAILURE", "DEPLOYMENT_STOP_ON_ALARM"} <= set(properties["AutoRollbackConfiguration"]["Events"]) or not properties["AutoRollbackConfiguration"]["Enabled"] or not properties["AlarmConfiguration"]["Enabled"]:
                yield f"{name} does not go back"
            if {"VersionFails", "ServerErrors"} - watched(properties, resources) or len(watched(properties, resources)) != len(properties["AlarmConfiguration"]["Alarms"]):
                yield f"{name} watches {sorted(watched(properties, resources))}"
            if properties["ServiceRoleArn"] != {"Fn::GetAtt": ["RolloutRole", "Arn"]}:
                yield f"{name} has another role"
        if shifts != any(r["Type"] == "AWS::CodeDeploy::Application" for r in resources.values()) or "CodeDeployServiceRole" in resources:
            yield f"{given}: CodeDeploy is there without need, or with a role of SAM's"
    types, rollouts = subject.template["Parameters"]["Rollout"]["AllowedValues"], subject.template["Mappings"]["Rollouts"]
    if rollouts != {kind: {"Shifts": kind != "AllAtOnce"} for kind in types}:
        yield "Rollouts and Rollout do not agree"
    for shape in subject.shapes:
        seen = {metric["MetricStat"]["Metric"]["Dimensions"][0]["Value"]["Ref"]: metric["MetricStat"]["Metric"] for metric in shape.resources["VersionFails"]["Properties"]["Metrics"][1:]}
        if seen.keys() != shape.aliases.keys():
            yield f"{shape}: VersionFails is about {sorted(seen)}"
        for function, metric in seen.items():
            name, resource, version = (dimension["Value"] for dimension in metric["Dimensions"])
            if resource != {"Fn::Sub": f"${{{function}}}:live"} or version != shape.resources[shape.aliases[function]]["Properties"]["FunctionVersion"] or metric["MetricName"] != "Errors":
                yield f"{shape}: VersionFails is not about {function}'s new version"


def rollouts_may_only_move_aliases(subject):
    for shape in subject.shapes:
        role = shape.resources["RolloutRole"]["Properties"]
        trusted = {"Effect": "Allow", "Principal": {"Service": "codedeploy.amazonaws.com"}, "Action": "sts:AssumeRole", "Condition": {"StringEquals": {"aws:SourceAccount": {"Ref": "AWS::AccountId"}}}}
        if role["AssumeRolePolicyDocument"]["Statement"] != [trusted] or role.keys() != {"AssumeRolePolicyDocument", "Policies"}:
            yield f"{shape}: others than CodeDeploy may roll out, or with more"
        may = {action: statement["Resource"] for statement in shape.statements("Rollout") for action in statement["Action"]}
        functions = [{"Fn::GetAtt": [function, "Arn"]} for function in shape.aliases]
        aliases = [{"Fn::Sub": f"${{{function}.Arn}}:live"} for function in shape.aliases]
        wanted = {"lambda:GetAlias": functions, "lambda:UpdateAlias": functions, "lambda:GetProvisionedConcurrencyConfig": aliases, "cloudwatch:DescribeAlarms": "*"}
        if {action: sorted(map(json.dumps, on)) for action, on in may.items()} != {action: sorted(map(json.dumps, on)) for action, on in wanted.items()}:
            yield f"{shape}: CodeDeploy may do other things than move the aliases and see their alarms"


def tracing_is_as_chosen(subject):
    for given, transformed in subject.variants.items():
        traced = dict(given).get("Tracing") == "Active"
        for function in FUNCTIONS:
            role, properties = transformed["Resources"][f"{function}Role"]["Properties"], transformed["Resources"][function]["Properties"]
            if [arn.rpartition("policy/")[2] for arn in role["ManagedPolicyArns"]] != [BASIC] + [XRAY] * traced:
                yield f"{given}: {function} has managed policies: {role['ManagedPolicyArns']}"
            if properties.get("TracingConfig") != ({"Mode": {"Ref": "Tracing"}} if traced else None):
                yield f"{given}: {function} is traced as {properties.get('TracingConfig')}"


def what_somebody_spoils_is_seen(subject):
    """The questions above, asked of a template that somebody has spoilt."""
    def lacks(name):
        def spoil(resources):
            content = resources["Settings"]["Properties"]["Content"]["Fn::Sub"]
            content[0] = re.sub(r"\$\{%s\}" % name, "", content[0])
        return spoil

    def at(*path, value):
        def spoil(resources):
            node = resources
            for step in path[:-1]:
                node = node[step]
            node[path[-1]] = value
        return spoil

    version = next(name for name in subject.transformed["Resources"] if name.startswith("TokenVersion"))
    statements = ("RolloutRole", "Properties", "Policies", 0, "PolicyDocument", "Statement")
    paths = ("Api", "Properties", "Body", "paths")
    numbered = references({"Fn::Sub": subject.transformed["Resources"]["Settings"]["Properties"]["Content"]["Fn::Sub"][0]})
    for question, spoil, what in [
        *((settings_number_whatever_functions_are_told, lacks(name), f"Settings without {name}") for name in sorted(numbered - {"KeyArns", "ToolKeyArns", "Tracing"})),
        (settings_number_whatever_functions_are_told, at("Settings", "Properties", "Content", "Fn::Sub", 1, "KeyArns", value=""), "Settings without the keys' ARNs"),
        (settings_number_whatever_functions_are_told, at("Settings", "Properties", "Content", "Fn::Sub", 1, "ToolKeyArns", value=""), "Settings without the tool keys' ARNs"),
        (settings_number_whatever_functions_are_told, at("Settings", "Properties", "Content", "Fn::Sub", 1, "KeyArns", value={"Ref": "MembershipSecrets"}), "Settings with a secret"),
        (settings_number_whatever_functions_are_told, at("Mcp", "Properties", "Timeout", value={"Fn::If": ["Mails", 1, 2]}), "a property that a condition decides"),
        (a_change_publishes_versions, at(version, "Properties", "Description", value="settings"), "a version described otherwise"),
        (a_change_publishes_versions, at(version, "DeletionPolicy", value="Retain"), "versions that are kept"),
        (a_change_publishes_versions, at("Token", "Properties", "Environment", "Variables", "SETTINGS", value="1"), "a variable that says nothing"),
        (every_route_may_invoke_its_function, at("Api", "Properties", "Body", "paths", "/api/mcp/server", "post", "x-amazon-apigateway-integration", "uri", value={"Fn::Sub": "functions/${Mcp.Arn}/invocations"}), "a route past the alias"),
        (a_rollout_watches_and_goes_back, at("McpDeploymentGroup", "Properties", "AlarmConfiguration", "Alarms", value=[{"Name": {"Ref": "KmsFaults"}}]), "a rollout that watches nothing of its own"),
        (a_rollout_watches_and_goes_back, at("LoginDeploymentGroup", "Condition", value="Mails"), "a group without its function"),
        (nothing_waits_for_itself, at("McpDeploymentGroup", "Properties", "AlarmConfiguration", "Alarms", value=[{"Name": {"Ref": "ServerErrors"}}]), "an alarm that knows the API"),
        (rollouts_may_only_move_aliases, at(*statements, 0, "Resource", value="*"), "a role for every function"),
        (rollouts_may_only_move_aliases, at(*statements, 2, "Action", value=["cloudwatch:DescribeAlarms", "cloudwatch:SetAlarmState"]), "a role that raises alarms"),
        (rollouts_may_only_move_aliases, at("RolloutRole", "Properties", "ManagedPolicyArns", value=["arn:aws:iam::aws:policy/service-role/AWSCodeDeployRoleForLambda"]), "AWS's policy"),
        (tracing_is_as_chosen, at("Audit", "Properties", "TracingConfig", value={"Mode": "Active"}), "a function that is always traced"),
        (api_gateway_imports_without_a_word, at(*paths, "/oauth/token", "post", "responses", value=None), "an operation without responses"),
        (api_gateway_imports_without_a_word, at(*paths, "/admin/{tenant}/keys", "get", "parameters", value=[{"name": "tenant", "in": "path", "required": True}]), "a segment without schema"),
        (api_gateway_imports_without_a_word, at("Api", "Properties", "Body", "servers", value=[{}]), "a server without URL"),
        (a_stack_can_be_made_again, at("AuditLog", "Properties", "LogGroupName", value="audit"), "an audit log that keeps the next one out"),
        (what_must_last_lasts, at("SigningKey", "DeletionPolicy", value="Retain"), "a key that stays when its creation fails"),
        (what_must_last_lasts, at("Grants", "DeletionPolicy", value="RetainExceptOnCreate"), "a table whose deletion would fail"),
        (each_signs_with_its_own_keys, at("SigningKey", "Properties", "MultiRegion", value=False), "a key for one region"),
        (each_signs_with_its_own_keys, at("McpRole", "Properties", "Policies", 0, "PolicyDocument", "Statement", 4, "Resource", value={"Fn::GetAtt": ["SigningKey", "Arn"]}), "tool tokens signed with the access tokens' key"),
        (token_alone_derives_the_key_of_refresh_tokens, at("RevokeRole", "Properties", "Policies", 0, "PolicyDocument", "Statement", 0, "Action", value=["kms:GenerateMac"]), "a second function that derives the key"),
        (token_alone_derives_the_key_of_refresh_tokens, at("Token", "Properties", "Environment", "Variables", "REFRESH_TOKEN_KEY", value={"Fn::GetAtt": ["SigningKey", "Arn"]}), "another key for refresh tokens"),
        (conditions_on_keys_are_about_one_item, at("AuthorizeRole", "Properties", "Policies", 0, "PolicyDocument", "Statement", 2, "Condition", value={"ForAllValues:StringLike": {"dynamodb:LeadingKeys": ["wanted#*"]}}), "a condition on a batch"),
        (nothing_is_reserved_or_paid_unasked, at("ApiApiGatewayDefaultStage", "Properties", "DefaultRouteSettings", "DetailedMetricsEnabled", value=True), "metrics of every route"),
        (nothing_is_reserved_or_paid_unasked, at("Token", "Properties", "ReservedConcurrentExecutions", value=5), "reserved concurrency"),
        (nothing_is_reserved_or_paid_unasked, at("AccountNearConcurrency", "Properties", "Threshold", value=800), "an alarm at another share"),
    ]:
        if not list(question(subject.spoilt(spoil))):
            yield f"{what} is not seen"


def functions_are_the_packages(subject):
    members = tomllib.loads((ROOT / "Cargo.toml").read_text())["workspace"]["members"]
    declared = {name: r for name, r in subject.template["Resources"].items() if r["Type"] == "AWS::Serverless::Function"}
    if declared.keys() != FUNCTIONS:
        yield f"the functions are {sorted(declared)}"
    for name, function in declared.items():
        package = function["Metadata"]["BuildProperties"]["Binary"]
        if package != PACKAGES.get(name) or f"functions/{package}" not in members or function["Metadata"]["BuildMethod"] != "rust-cargolambda":
            yield f"{name} is not built from a package of its name"
    for shape in subject.shapes:
        if shape.functions != FUNCTIONS - (set() if shape.login else {"Login", "Membership", "People"}):
            yield f"{shape}: the functions are {sorted(shape.functions)}"
        for name in shape.functions:
            properties = shape.resources[name]["Properties"]
            if properties["Runtime"] != "provided.al2023" or properties["Handler"] != "bootstrap" or properties["Architectures"] != [{"Ref": "Architecture"}]:
                yield f"{name} does not run as built"
            if name in ANSWERING and not properties["Timeout"] < 30:
                yield f"{name} outlives API Gateway's 30 seconds"
            yield from (f"{name}: {key} is no Lambda setting" for key in properties["Environment"]["Variables"] if not re.fullmatch(r"[A-Z][A-Z_]+", key))


def custom_domain_is_the_only_address(subject):
    trial, owned = subject.shapes
    for shape, closed in [(trial, False), (owned, True)]:
        if shape.api["Body"]["servers"] != [{"url": {"Ref": "Issuer"}, "x-amazon-apigateway-endpoint-configuration": {"disableExecuteApiEndpoint": closed}}]:
            yield f"{shape}: the execute-api address is {'open' if closed else 'closed'}"
    if "Domain" in trial.resources:
        yield "without a certificate there is a custom domain"
    mapping = owned.resources["DomainMapping"]["Properties"]
    if "ApiMappingKey" in mapping or mapping["DomainName"] != {"Ref": "Domain"}:
        yield "routes do not stand at the root of the custom domain"
    if owned.resources["Domain"]["Properties"]["DomainName"] != {"Fn::Select": [1, {"Fn::Split": ["https://", {"Ref": "Issuer"}]}]}:
        yield "the custom domain is not the issuer's host"


def events_are_as_aws_sends_them(subject):
    """The rules are API Gateway's for payload version 2.0; reference: "Working with AWS Lambda proxy integrations for HTTP APIs"."""
    routes, seen = subject.shapes[0].routes, set()
    for path in sorted((ROOT / "events").glob("*/*.json")):
        name, event = path.relative_to(ROOT / "events"), json.loads(path.read_text())
        if name.parts[0] == "audit":
            continue  # sent by CloudWatch Logs; replayed by tests/audit.rs
        http, headers = event["requestContext"]["http"], event["headers"]
        asked = f"{http['method']} {http['path']}"
        route, named = route_of(asked, routes)
        if event["version"] != "2.0" or event["rawPath"] != http["path"] or event["requestContext"]["stage"] != "$default":
            yield f"{name}: version, path or stage do not fit"
        if event["routeKey"] != event["requestContext"]["routeKey"]:
            yield f"{name}: the two route keys differ"
        if path.stem.startswith("unrouted-"):
            if route:
                yield f"{name}: {asked} is routed"
        elif event["routeKey"] != route or PACKAGES.get(routes.get(route)) != name.parts[0]:
            yield f"{name}: {asked} does not lead to {name.parts[0]}"
        else:
            seen.add(route)
        if event.get("pathParameters", {}) != named or ("pathParameters" in event) != bool(named):
            yield f"{name}: the path and its parameters differ"
        if any(key != key.lower() for key in headers) or "cookie" in headers:
            yield f"{name}: header names are in lower case, and cookies stand apart"
        query = {}
        for key, value in parse_qsl(event["rawQueryString"], keep_blank_values=True):
            query[key] = f"{query[key]},{value}" if key in query else value
        if event.get("queryStringParameters", {}) != query or ("queryStringParameters" in event) != bool(query):
            yield f"{name}: the two forms of the query differ"
        if "cookies" in event and not event["cookies"]:
            yield f"{name}: without cookies there is no such member"
        if http["userAgent"] != headers.get("user-agent", "") or http["sourceIp"] != headers["x-forwarded-for"]:
            yield f"{name}: address or user agent do not fit the headers"
        if event["requestContext"]["domainName"] != headers["host"]:
            yield f"{name}: host and domain differ"
        kind = headers.get("content-type", "").split(";")[0].strip().lower()
        text = kind.startswith("text/") or kind in {"application/json", "application/xml", "application/javascript"}
        if "body" in event and event["isBase64Encoded"] == text:
            yield f"{name}: a body of {kind or 'no type'} is {'text' if text else 'base64'}"
        if "body" not in event and event["isBase64Encoded"]:
            yield f"{name}: there is no body to decode"
        body = base64.b64decode(event["body"], validate=True) if event["isBase64Encoded"] else event.get("body", "").encode()
        if headers.get("content-length") != str(len(body)):
            yield f"{name}: content-length is {headers.get('content-length')}, the body has {len(body)} bytes"
        given = parse_qsl(event["rawQueryString"]) + parse_qsl(body.decode("utf-8", "replace"))
        scheme, _, credentials = headers.get("authorization", "").partition(" ")
        secrets = [value for key, value in given if key in SECRETS] + [base64.b64decode(credentials).decode() if scheme == "Basic" else credentials] * bool(scheme)
        yield from (f"{name}: {secret} could be taken for a secret" for secret in secrets if not re.search(r"not-a-|made-up|^dBjftJeZ", secret))
    # HEAD is GET without a body, and a slash at the end is left out.
    unheard = [r for r in routes if r not in seen and not r.startswith(("OPTIONS", "HEAD")) and r.rstrip("/") not in seen]
    yield from (f"no event is sent to {route}" for route in unheard)


# ---------------------------------------------------------------------------------------------------------- What is asked


class Shape:
    """What one choice of conditions deploys: every Fn::If decided, what is left out gone."""

    def __init__(self, transformed, true):
        self.login = "HostsLogin" in true
        self.invokes_tools = "InvokesTools" in true
        kept = {name: r for name, r in transformed["Resources"].items() if r.get("Condition") in {None, *true}}
        self.resources = decide(kept, true)
        self.outputs = decide({name: o for name, o in transformed["Outputs"].items() if o.get("Condition") in {None, *true}}, true)
        self.api = self.resources["Api"]["Properties"]
        self.stage = self.resources["ApiApiGatewayDefaultStage"]["Properties"]
        self.functions = set(self.of("AWS::Lambda::Function"))
        self.keys = self.of("AWS::KMS::Key")
        self.aliases = {alias["FunctionName"]["Ref"]: name for name, alias in self.of("AWS::Lambda::Alias").items()}
        self.routes = {
            f"{method.upper()} {path}": self.invoked(operation["x-amazon-apigateway-integration"]["uri"]["Fn::Sub"])
            for path, methods in self.api["Body"]["paths"].items()
            for method, operation in methods.items()
        }

    def __str__(self):
        return "with login" if self.login else "without login"

    def invoked(self, uri):
        """The function that an integration invokes: by its alias, if it has one."""
        text, names = (uri, {}) if isinstance(uri, str) else uri
        name = re.search(r"functions/\$\{([\w.]+)\}/invocations", text)[1]
        name = names[name]["Ref"] if name in names else name
        functions = {alias: function for function, alias in self.aliases.items()} | {f"{function}.Arn": function for function in self.functions - self.aliases.keys()}
        return functions.get(name, f"{name}, past an alias")

    def of(self, kind):
        return {name: r.get("Properties", {}) for name, r in self.resources.items() if r["Type"] == kind}

    def keys_of(self, setting):
        """The keys whose ARNs that setting has, the ones that sign first."""
        names = {"SIGNING_KEYS": ("SigningKey", "SecondSigningKey"), "TOOL_SIGNING_KEYS": ("ToolSigningKey", "SecondToolSigningKey")}
        return [key for key in names.get(setting, ()) if key in self.keys]

    def statements(self, function):
        return [s for policy in self.resources[f"{function}Role"]["Properties"].get("Policies", []) for s in policy["PolicyDocument"]["Statement"]]


class TemplateUnderTest:
    """The template as written, as CloudFormation gets it by what SAM is given, and in its two shapes."""

    def __init__(self):
        self.template, self.access = self.read(), rights.read()
        self.variants = {given: self.translate(**dict(given)) for given in [(), (("Rollout", "AllAtOnce"),), (("Tracing", "Active"),)]}
        self.take_shape()

    def take_shape(self):
        self.transformed = self.variants[()]
        self.shapes = [Shape(self.transformed, Deployment(self.transformed, REQUIRED | DEPLOYMENTS[name]).conditions()) for name in ("with memberships", "with all there is")]

    @staticmethod
    def read():
        return yaml_parse((ROOT / "template.yaml").read_text())

    @classmethod
    def translate(cls, **parameters):
        template = cls.read()
        template["Globals"]["Function"]["CodeUri"] = "s3://bucket/code.zip"  # where `sam build` and `sam package` would have put it
        managed = {policy.rpartition("/")[2]: f"arn:aws:iam::aws:policy/{policy}" for policy in (BASIC, XRAY)}
        with contextlib.redirect_stdout(io.StringIO()):
            return Translator(managed, Parser(), boto_session=boto3.Session()).translate(template, {"Issuer": "https://connect.example.com", **parameters})

    def with_access(self, access):
        other = copy.copy(self)
        other.access = access
        return other

    def spoilt(self, spoil):
        """Another, whose resources `spoil` has changed as they come out of the transform."""
        other = copy.copy(self)
        other.variants = {**self.variants, (): copy.deepcopy(self.transformed)}
        spoil(other.variants[()]["Resources"])
        other.take_shape()
        return other


def route_of(asked, routes):
    """The route that a request takes, exact segments before named ones, and what its named segments stand for."""
    for route in sorted(routes, key=lambda route: len(NAMED.findall(route))):
        parts = [f"(?P<{part[1:-1]}>[^/]+)" if NAMED.fullmatch(f"/{part}", 1) else re.escape(part) for part in route.split("/")]
        if matched := re.fullmatch("/".join(parts), asked):
            return route, matched.groupdict()
    return None, {}


NOTHING = object()


def decide(node, true):
    if isinstance(node, dict):
        if node == {"Ref": "AWS::NoValue"}:
            return NOTHING
        if node.keys() == {"Fn::If"}:
            condition, then, otherwise = node["Fn::If"]
            return decide(then if condition in true else otherwise, true)
        decided = {key: decide(value, true) for key, value in node.items()}
        return {key: value for key, value in decided.items() if value is not NOTHING}
    if isinstance(node, list):
        return [value for value in (decide(item, true) for item in node) if value is not NOTHING]
    return node


def references(node):
    """Every parameter and resource that is named by Ref, Fn::GetAtt, Fn::Sub, Fn::If or Condition."""
    found = set()
    if isinstance(node, dict):
        for key, value in node.items():
            if key == "Ref":
                found.add(value.split(".")[0])
            elif key == "Fn::GetAtt":
                found.add((value if isinstance(value, str) else value[0]).split(".")[0])
            elif key == "Fn::Sub":
                text, own = (value, {}) if isinstance(value, str) else value
                found |= {name.split(".")[0] for name in re.findall(r"\$\{([^!}]+)\}", text) if name not in own}
            found |= references(value)
    elif isinstance(node, list):
        for item in node:
            found |= references(item)
    return found


def decided_by(node, conditions):
    """Every parameter that a condition in it looks at."""
    if isinstance(node, list):
        return set().union(*(decided_by(item, conditions) for item in node))
    if not isinstance(node, dict):
        return set()
    found = set().union(*(decided_by(value, conditions) for value in node.values()))
    for name in [node["Fn::If"][0]] if "Fn::If" in node else [node["Condition"]] if isinstance(node.get("Condition"), str) else []:
        found |= references(conditions[name]) | decided_by(conditions[name], conditions)
    return found


def watched(group, resources):
    """The alarms that a deployment group names."""
    names = {json.dumps(r["Properties"]["AlarmName"]): name for name, r in resources.items() if r["Type"] == "AWS::CloudWatch::Alarm"}
    alarms = [alarm["Name"] for alarm in group["AlarmConfiguration"]["Alarms"]]
    return {alarm.get("Ref") or names.get(json.dumps(alarm)) for alarm in alarms} - {None}


def configuration():
    """The environments of samconfig.toml."""
    return {name: environment for name, environment in tomllib.loads((ROOT / "samconfig.toml").read_text()).items() if name != "version"}


def listed(value):
    return value if isinstance(value, list) else [value]


def main():
    logging.disable(logging.WARNING)
    subject, passed, failed = TemplateUnderTest(), 0, 0
    questions = [f for f in [*globals().values(), *vars(rights).values(), *vars(edge_template).values()] if getattr(f, "__code__", None) and f.__code__.co_flags & 0x20]  # the generators of these files, in order
    for question in questions:
        problems = list(dict.fromkeys(question(subject)))
        passed, failed = passed + (not problems), failed + bool(problems)
        print(f"{'FAILED' if problems else 'ok    '} {question.__name__.replace('_', ' ')}", *(f"       {p}" for p in problems), sep="\n")
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
