"""What cfn-lint finds in a template of CloudFormation."""

import json

from cfnlint.api import ManualArgs, lint


def findings(template, regions, ignored=()):
    for match in lint(json.dumps(template, indent=1), config=ManualArgs(regions=regions, ignore_checks=list(ignored))):
        yield f"{match.rule.id} {match.message} ({'/'.join(map(str, match.path or []))})"
