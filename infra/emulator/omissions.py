"""Whether each entry of omissions.toml is needed, and whether permissions count: tried with stacks that are spoilt on purpose."""

from botocore.exceptions import ClientError

from emulator import EmulatorError, Stack
from operation import Deployment
from template import APPLIED, deployable


def omissions_are_needed(omissions, emulator, reduce, parameters, use):
    """Without an entry, the emulator refuses the template or it cannot be used. With all entries, it can."""
    entries = [entry for part in APPLIED for entry in omissions.get(part, [])]
    for number, entry in enumerate([None, *entries]):
        template, _ = reduce(kept=entry)
        failure = tried(Stack(emulator, f"trial-{number}"), template, parameters, use)
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
    failure = tried(Stack(deployment.stack.emulator, "powerless"), reduced, parameters, connects(deployment))
    if not failure:
        raise AssertionError("token needs no permission")
    print(failure)


def connects(deployment):
    """Uses another stack as `deployment` is used: somebody connects."""
    return lambda stack: Deployment(stack, deployment.sign_in).connects()


def tried(stack, template, parameters, use):
    """Deploys the template as another stack, uses it and deletes it. Returns why it could not be used; nothing if it could."""
    try:
        stack.create(template, parameters)
        use(stack)
    except (EmulatorError, ClientError, AssertionError) as failure:
        return str(failure)[:150]
    finally:
        stack.delete()
