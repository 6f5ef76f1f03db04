"""Connects from the URL alone with fastmcp of PyPI, as it is: it looks at the authorization page first, then opens a browser, and
listens on a port of its own choice.

    python connect.py <MCP URL> <how many times> [<address of its metadata document>]

A line of JSON at a time. Out: where a person must approve, and what was seen, each time. It hears by its own port where the
person ended up.
"""

import asyncio
import json
import os
import sys
import webbrowser

os.environ["FASTMCP_LOG_LEVEL"] = "ERROR"  # it would repeat each address

from fastmcp import Client
from fastmcp.client.auth import OAuth


def say(event, **said):
    print(json.dumps({"event": event, **said}), flush=True)


def open_browser(url):
    say("authorize", url=url)
    return True


async def connect(url, times, document=None):
    webbrowser.open = open_browser
    for _ in range(int(times)):
        async with Client(url, auth=OAuth(client_metadata_url=document)) as client:
            rolled = await client.call_tool("roll_dice", {"dice": 2, "sides": 6})
            say("connected", tools=[tool.name for tool in await client.list_tools()], rolled=rolled.structured_content)


asyncio.run(connect(*sys.argv[1:]))
