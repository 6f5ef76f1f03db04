"""Connects from the URL alone with the official SDK of PyPI, as it is.

    python connect.py <MCP URL> auto|legacy [<address of its metadata document>]

A line of JSON at a time. Out: where a person must approve, each set of tokens, what was seen. In: where the person ended up,
each time, then how many seconds have passed.
"""

import asyncio
import json
import sys
import time
from urllib.parse import parse_qs, urlsplit

from mcp import Client
from mcp.client.auth import AuthorizationCodeResult, OAuthClientProvider
from mcp.client.streamable_http import streamable_http_client
from mcp.shared._httpx_utils import create_mcp_http_client
from mcp.shared.auth import OAuthClientMetadata


def say(event, **said):
    print(json.dumps({"event": event, **said}), flush=True)


async def heard():
    return json.loads(await asyncio.to_thread(sys.stdin.readline))


class Memory:
    """What an application that uses the SDK brings along."""

    tokens = client = None

    async def get_tokens(self):
        return self.tokens

    async def set_tokens(self, tokens):
        self.tokens = tokens
        say("tokens", **tokens.model_dump(mode="json", exclude_none=True))

    async def get_client_info(self):
        return self.client

    async def set_client_info(self, client):
        self.client = client


async def send_the_person(url):
    say("authorize", url=url)


async def come_back():
    parameters = parse_qs(urlsplit((await heard())["redirected"]).query)
    return AuthorizationCodeResult(**{name: parameters[name][0] for name in ("code", "state", "iss")})


def plain(result):
    return result.model_dump(mode="json", by_alias=True)


async def names(client):
    # What it remembers of the first list is not asked for.
    return [tool.name for tool in (await client.list_tools(cache_mode="refresh")).tools]


async def connect(url, mode, document=None):
    provider = OAuthClientProvider(
        server_url=url,
        client_metadata=OAuthClientMetadata(client_name="Python SDK", redirect_uris=["http://localhost:49161/callback"]),
        storage=Memory(),
        redirect_handler=send_the_person,
        callback_handler=come_back,
        client_metadata_url=document,
    )
    async with (
        create_mcp_http_client(auth=provider) as http,
        Client(streamable_http_client(url, http_client=http), mode=mode) as client,
    ):
        say(
            "connected",
            version=client.protocol_version,
            tools=await names(client),
            rolled=plain(await client.call_tool("roll_dice", {"dice": 2, "sides": 6})),
            skills=plain(await client.call_tool("list_skills", {})),
            resources=[str(resource.uri) for resource in (await client.list_resources()).resources],
            skill=plain(await client.read_resource("skill://weekly-report")),
            prompts=[prompt.name for prompt in (await client.list_prompts()).prompts],
            prompt=plain(await client.get_prompt("weekly-report", {"week": "2026-W47"})),
        )
        say(
            "stepped up",
            documents=plain(await client.call_tool("list_documents", {})),
            document=plain(await client.read_resource("document://refund-policy")),
        )
        # It refreshes by its own clock, which must be turned as the server's is.
        passed, clock = (await heard())["seconds"], time.time
        time.time = lambda: clock() + passed
        say("later", tools=await names(client))


asyncio.run(connect(*sys.argv[1:]))
