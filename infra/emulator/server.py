"""ministack, which notes the properties that it ignores. Runs in ministack's own environment.

    UNREAD_PROPERTIES=<file> GATEWAY_PORT=<port> python infra/emulator/server.py

ministack does not say which properties it ignores. It is found out here: a property counts as ignored if it is not read
while its resource is created. Each creation adds a line to the file: `[stack, kind, [property, ...]]`.
"""

import json
import os

from ministack.app import main
from ministack.services.cloudformation import provisioners


class RecordedProperties(dict):
    """Properties of a resource, which know those that were not read yet."""

    def __init__(self, properties):
        super().__init__(properties)
        self.unread = set(properties)

    def __getitem__(self, name):
        self.unread.discard(name)
        return super().__getitem__(name)

    def __contains__(self, name):
        self.unread.discard(name)
        return super().__contains__(name)

    def __iter__(self):
        self.unread.clear()
        return super().__iter__()

    def get(self, name, default=None):
        self.unread.discard(name)
        return super().get(name, default)

    def pop(self, name, *default):
        self.unread.discard(name)
        return super().pop(name, *default)

    def keys(self):
        self.unread.clear()
        return super().keys()

    def values(self):
        self.unread.clear()
        return super().values()

    def items(self):
        self.unread.clear()
        return super().items()

    def copy(self):
        self.unread.clear()
        return super().copy()


def recording(kind, create):
    def create_recorded(logical_id, properties, stack, *more):
        recorded = RecordedProperties(properties)
        made = create(logical_id, recorded, stack, *more)
        with open(os.environ["UNREAD_PROPERTIES"], "a", encoding="utf-8") as file:
            file.write(json.dumps([stack, kind, sorted(recorded.unread)]) + "\n")
        return made

    return create_recorded


for kind, handler in provisioners._RESOURCE_HANDLERS.items():
    if "create" in handler:
        handler["create"] = recording(kind, handler["create"])

main()
