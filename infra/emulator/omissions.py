"""Whether each entry of omissions.toml is needed, and whether permissions count: tried with stacks that are spoilt on purpose."""

from botocore.exceptions import ClientError

from emulator import EmulatorError, Stack
from operation import Deployment
from template import OMISSIONS, deployable


def omissions_are_needed(deployment, template, parameters):
    """Without an entry, the emulator refuses the template or nobody can connect. With all entries, people can."""
    entries = [entry for part in ("refused", "changed", "condition_keys", "patterns") for entry in OMISSIONS[part]]
    for number, entry in enumerate([None, *entries]):
        reduced, _ = deployable(template, kept=entry)
        failure = tried(deployment, f"trial-{number}", reduced, parameters)
        if entry is None and failure:
            raise AssertionError(f"a second stack does not work: {failure}")
        if entry and not failure:
            raise AssertionError(f"no longer needed: {entry}")
        if entry:
            print(f"{entry.get('kind') or entry.get('key') or entry['parameter']}: {failure}")


def permissions_are_enforced(deployment, template, parameters):
    """A function without policies can do nothing. So the policies allow whatever the functions have done."""
    reduced, _ = deployable(template)
    del reduced["Resources"]["TokenRole"]["Properties"]["Policies"]
    failure = tried(deployment, "powerless", reduced, parameters)
    if not failure:
        raise AssertionError("token needs no permission")
    print(failure)


def tried(deployment, name, template, parameters):
    """Deploys the template as another stack and deletes it. Returns why nobody could connect; nothing if somebody could."""
    stack = Stack(deployment.stack.emulator, name)
    try:
        stack.create(template, parameters)
        Deployment(stack, deployment.sign_in).connects()
    except (EmulatorError, ClientError, AssertionError) as failure:
        return str(failure)[:150]
    finally:
        stack.delete()
