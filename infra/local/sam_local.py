"""What `sam local` makes of a folder that the local system has written (`cargo run -- --env DIR`), without a container: as JSON, the program
and the variables of each function by its name in `functions/`, and every route. SAM's own code reads the template and the variables."""

import json
import sys
from pathlib import Path

from samcli.commands.local.lib.local_lambda import LocalLambdaRunner
from samcli.lib.providers.api_provider import ApiProvider
from samcli.lib.providers.sam_function_provider import SamFunctionProvider
from samcli.lib.providers.sam_stack_provider import SamLocalStackProvider


def main(folder):
    stacks, _ = SamLocalStackProvider.get_stacks(str(folder / "sam-template.json"))
    functions = SamFunctionProvider(stacks)
    values = json.loads((folder / "sam-env.json").read_text())
    runner = LocalLambdaRunner(None, functions, str(folder), str(folder), env_vars_values=values)
    found = {}
    for function in functions.get_all():
        program = Path(function.codeuri, function.handler)
        # What `sam local invoke` and `start-api` set in the container: SAM's own, the template's, and over them those of --env-vars.
        found[program.parent.name] = {"program": str(program), "variables": runner._make_env_vars(function).resolve()}
    api = ApiProvider(stacks, str(folder)).api
    routes = sorted(f"{method} {route.path}" for route in api.routes for method in route.methods)
    print(json.dumps({"functions": found, "routes": routes}))


main(Path(sys.argv[1]))
