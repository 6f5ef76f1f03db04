"""What a template says of its parameters: asked of every template alike."""

import re


def ungrouped(template):
    """The console shows them in the groups of Metadata."""
    grouped = [p for g in template["Metadata"]["AWS::CloudFormation::Interface"]["ParameterGroups"] for p in g["Parameters"]]
    if sorted(grouped) != sorted(template["Parameters"]):
        yield "the groups in Metadata do not name every parameter once"


def misjudged(template, rows):
    """Each row has a parameter, values that its pattern must accept, and values that it must refuse."""
    for name, good, bad in rows:
        pattern = re.compile(template["Parameters"][name]["AllowedPattern"])
        yield from (f"{name} refuses {value!r}" for value in good if not pattern.fullmatch(value))
        yield from (f"{name} accepts {value!r}" for value in bad if pattern.fullmatch(value))
