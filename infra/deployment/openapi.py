"""What API Gateway's importer would say to an OpenAPI document.

It reads documents with swagger-parser, whose messages it repeats as "Parse issue: attribute …". openapi-generator-cli reads with the same.
"""

import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path

VALIDATOR = Path(sys.executable).with_name("openapi-generator-cli")  # of the package of that name; needs Java


def messages(document):
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        json.dump(document, file)
        file.flush()
        run = subprocess.run([VALIDATOR, "validate", "--input-spec", file.name], capture_output=True, text=True)
    said = run.stdout + run.stderr
    if run.returncode == 0 and "No validation issues detected." in said:
        return []
    listed = re.findall(r"^\t- (.*(?:\n\t  .*)*)", said, re.MULTILINE)  # long ones go on in the next line
    return sorted(re.sub(r"\s+", " ", message) for message in listed) or [f"cannot be read: {said.strip()}"]
