"""The emulator, the fake Supabase and the programs, each for as long as the test runs."""

import contextlib
import io
import json
import os
import signal
import socket
import subprocess
import tempfile
import time
import urllib.request
import zipfile
from pathlib import Path

import boto3
from botocore.exceptions import ClientError

ACCOUNT = "111122223333"  # that of infra/local/demo.yaml
REGION = "us-east-1"
BUCKET = "deployment"


class Emulator:
    """ministack on a free port. AWS is asked at `localhost`, so that a custom domain can be the address of loopback."""

    def __init__(self, python, unread):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.url = f"http://localhost:{self.port}"
        self.issuer = f"http://127.0.0.1:{self.port}"
        self.unread = unread
        self.python = python
        self.environment = {"AWS_ENDPOINT_URL": self.url, "AWS_ACCESS_KEY_ID": ACCOUNT, "AWS_SECRET_ACCESS_KEY": "none", "AWS_REGION": REGION}

    @contextlib.contextmanager
    def running(self, log):
        environment = {
            **self.environment,
            "AUTH": "true",  # permissions are checked
            "BIND_HOST": "127.0.0.1",
            "GATEWAY_PORT": str(self.port),
            "IOT_MTLS_ENABLED": "0",  # listens at another port
            "MINISTACK_ACCOUNT_ID": ACCOUNT,
            "PATH": os.environ["PATH"],
            "UNREAD_PROPERTIES": str(self.unread),
        }
        self.unread.write_text("")
        command = [self.python, Path(__file__).parent / "server.py"]
        with contextlib.ExitStack() as ended:
            folder = ended.enter_context(tempfile.TemporaryDirectory())
            environment |= {"STATE_DIR": folder, "TMPDIR": folder}
            out = ended.enter_context(log.open("w"))
            running = ended.enter_context(process(command, env=environment, stdout=out, stderr=subprocess.STDOUT))
            while not self.is_ready():
                if running.poll() is not None:
                    raise SystemExit(f"ministack did not start: see {log}")
                time.sleep(0.1)
            yield

    def is_ready(self):
        try:
            with urllib.request.urlopen(f"{self.url}/_ministack/health"):
                return True
        except OSError:
            return False

    def client(self, service):
        return boto3.client(service, endpoint_url=self.url, region_name=REGION, aws_access_key_id=ACCOUNT, aws_secret_access_key="none")

    def all(self, service, operation, member, **parameters):
        """The members of every page of an answer."""
        pages = self.client(service).get_paginator(operation).paginate(**parameters)
        return [item for page in pages for item in page[member]]

    def lines(self, group):
        """What was logged."""
        return [event["message"] for event in self.all("logs", "filter_log_events", "events", logGroupName=group)]

    def upload(self, programs):
        """As `sam package` does: an archive for each function."""
        self.client("s3").create_bucket(Bucket=BUCKET)
        for program in programs.glob("*/bootstrap"):
            self.put(program.parent.name, archive("bootstrap", program.read_bytes()))

    def put(self, name, content):
        self.client("s3").put_object(Bucket=BUCKET, Key=name, Body=content)
        return f"{self.url}/{BUCKET}/{name}"


class Stack:
    """A CloudFormation stack."""

    def __init__(self, emulator, name):
        self.emulator, self.name = emulator, name
        self.cloudformation = emulator.client("cloudformation")

    def create(self, template, parameters):
        self.ask(self.cloudformation.create_stack, template, parameters)
        self.wait_for("CREATE_COMPLETE")

    def update(self, template, parameters):
        self.ask(self.cloudformation.update_stack, template, parameters)
        self.wait_for("UPDATE_COMPLETE")

    def delete(self):
        self.cloudformation.delete_stack(StackName=self.name)
        self.wait_for("DELETE_COMPLETE")

    def ask(self, action, template, parameters):
        url = self.emulator.put(f"{self.name}.template", json.dumps(template))
        action(StackName=self.name, TemplateURL=url, Capabilities=["CAPABILITY_IAM"], Parameters=[{"ParameterKey": name, "ParameterValue": value} for name, value in parameters.items()])

    def wait_for(self, status):
        while (reached := self.described().get("StackStatus", "DELETE_COMPLETE")).endswith("_IN_PROGRESS"):
            time.sleep(0.2)
        if reached != status:
            raise EmulatorError("; ".join([f"{self.name} is {reached}: {self.described().get('StackStatusReason')}", *self.failures()]))

    def described(self):
        """Nothing, once it is deleted."""
        try:
            return self.cloudformation.describe_stacks(StackName=self.name)["Stacks"][0]
        except ClientError as error:
            if "does not exist" in str(error):
                return {}
            raise

    def failures(self):
        events = self.emulator.all("cloudformation", "describe_stack_events", "StackEvents", StackName=self.name)
        return [f"{event['LogicalResourceId']}: {event.get('ResourceStatusReason')}" for event in events if "FAILED" in event["ResourceStatus"]]

    def resources(self):
        """What is deployed: the kind and the physical id of each resource."""
        resources = self.emulator.all("cloudformation", "list_stack_resources", "StackResourceSummaries", StackName=self.name)
        return {resource["LogicalResourceId"]: (resource["ResourceType"], resource["PhysicalResourceId"]) for resource in resources}

    def output(self, name):
        return next(output["OutputValue"] for output in self.described()["Outputs"] if output["OutputKey"] == name)

    def invoke(self, function, event):
        """What a function returns to Lambda itself."""
        answer = self.emulator.client("lambda").invoke(FunctionName=f"{self.name}-{function}", Payload=json.dumps(event))
        returned = json.loads(answer["Payload"].read())
        if "FunctionError" in answer:
            raise EmulatorError(f"{function} failed: {returned}")
        return returned

    def ignored(self):
        """The properties that were never read, by kind."""
        lines = map(json.loads, self.emulator.unread.read_text().splitlines())
        return {(kind, property) for stack, kind, unread in lines if stack == self.name for property in unread}


class EmulatorError(Exception):
    """A stack that is not as it should be."""


@contextlib.contextmanager
def supabase(program, publishable_key):
    """The fake Supabase; yields its address. Nobody here uses its secret key."""
    with process([program, publishable_key, "sb_secret_apart"], stdout=subprocess.PIPE, text=True) as running:
        yield running.stdout.readline().strip()


@contextlib.contextmanager
def process(command, **options):
    """A process that is gone afterwards, with all that it started."""
    running = subprocess.Popen(command, start_new_session=True, **options)
    try:
        yield running
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(running.pid, signal.SIGTERM)
        running.wait()


def archive(name, content):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        entry = zipfile.ZipInfo(name)
        entry.external_attr = 0o755 << 16
        file.writestr(entry, content)
    return buffer.getvalue()
