#!/usr/bin/env python3
"""Deploys the templates to an emulator of AWS, and uses the deployment as clients, people and operators do.

    python infra/emulator/deploy.py [folder of the programs]     target/programs, unless another is named

Needs what tests/run installs and builds: the emulator in target/ministack, `amble` and the fake Supabase in target/debug.
The emulator checks the functions' permissions as IAM does. What it cannot do stands in omissions.toml.
"""

import contextlib
import functools
import logging
import os
import signal
import sys
import time
from pathlib import Path

from connection import equal
from edge import requests_pass_through_the_edge
from emulator import BUCKET, Emulator, Stack, supabase
from events import replay
from omissions import connects, omissions_are_needed, permissions_are_enforced
from operation import PUBLISHABLE_KEY, Deployment, deploy_tool
from resources import everything_is_deployed, items, live_versions, only_what_is_retained_is_left, print_counts, retained
from template import OMISSIONS, ROOT, deployable, named_anew, transformed

TARGET = ROOT / "target"


def main(programs=TARGET / "programs"):
    logging.disable(logging.WARNING)
    os.environ["NO_PROXY"] = os.environ["no_proxy"] = "127.0.0.1,localhost"  # all of it is on this machine
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that what was started is ended
    emulator = Emulator(TARGET / "ministack/bin/python", TARGET / "ministack-unread.jsonl")
    with emulator.running(TARGET / "ministack.log"), supabase(TARGET / "debug/fake-supabase", PUBLISHABLE_KEY) as sign_in:
        emulator.upload(Path(programs))
        deployment = Deployment(Stack(emulator, "amble-connect"), sign_in)
        try:
            test(deployment)
        except Exception:
            print(*deployment.errors(), sep="\n")
            raise


def test(deployment):
    stack, emulator = deployment.stack, deployment.stack.emulator
    parameters = {
        "Issuer": emulator.issuer,
        "ProductName": "Amble",
        "Architecture": "x86_64" if os.uname().machine == "x86_64" else "arm64",
        "ToolFunctions": deploy_tool(emulator),
        "SigningKeys": "first,second",
        "AlarmEmail": "ops@example.com",
        "SupabaseSecretKey": f"sb_secret_{'x' * 32}",
        "MonthlyBudget": "100",
        **deployment.parameters,
    }
    template = transformed(parameters, BUCKET)
    reduced, omitted = deployable(template)

    with step("create"):
        stack.create(reduced, parameters)
        everything_is_deployed(stack, template, omitted)
        print_counts(stack, template, omitted)
        deployment.serve_at_issuer()

    with step("amble apply"):
        print(deployment.apply())

    with step("a connection, from the challenge to the revoked grant"):
        connector = deployment.connected()
        equal({"list_skills", "read_skill", "list_views", "read_view", "count_words"} - connector.tools(), set(), "what is not listed")
        answer = connector.tool("count_words", text="An emulated deployment")
        equal(answer["structuredContent"], {"words": 3, "letters": 20}, "the tool's answer")
        connector.refresh()
        connector.tools()
        connector.revoke()
        deployment.audits("grant_approved", "grant_ended")

    with step("an API key, and a membership that the product ends"):
        deployment.key_works()
        deployment.membership_ends()

    with step("events"):
        print("{} of {} events are sent through the API, and all are answered as tests/events.rs says".format(*replay(stack)))

    with step("amble doctor"):
        deployment.doctor()

    with step("update"):
        connector, before = deployment.connected(), live_versions(stack)
        equal(deployment.product_name(), "Amble", "the product's name")
        parameters["ProductName"] = "Ambit"
        stack.update(reduced, parameters)
        equal(deployment.product_name(), "Ambit", "the product's name after the update")
        equal([function for function, version in live_versions(stack).items() if version == before[function]], [], "the functions without a new version")
        connector.refresh()
        connector.tools()

    with step("delete"):
        equal(list(deployment.errors()), [], "what functions have logged as errors")
        deployed, lasting = stack.resources(), retained(stack, template)
        kept = items(emulator, lasting)
        equal([table for table, number in kept.items() if number == 0], [], "the tables that nothing was written to")
        stack.delete()
        only_what_is_retained_is_left(emulator, deployed, lasting)

    with step("create again, under the same name"):
        stack.create(named_anew(reduced), parameters)
        everything_is_deployed(stack, template, omitted)
        deployment.connects()
        equal(items(emulator, lasting), kept, "what the retained tables hold")

    with step("the edge"):
        requests_pass_through_the_edge(emulator)

    with step("whether each omission is still needed"):
        omissions_are_needed(OMISSIONS, emulator, functools.partial(deployable, template), parameters, connects(deployment))

    with step("whether permissions are enforced"):
        permissions_are_enforced(deployment, template, parameters)


@contextlib.contextmanager
def step(name):
    print(f"-- {name}", flush=True)
    begun = time.monotonic()
    yield
    print(f"   {time.monotonic() - begun:.1f} s", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
