"""CloudFormation's functions, worked out for given parameters: those that template.yaml and infra/edge/template.yaml use."""

import re

PSEUDO = {
    "AWS::AccountId": "111122223333",
    "AWS::NoValue": None,
    "AWS::Partition": "aws",
    "AWS::Region": "us-east-1",
    "AWS::StackName": "amble-connect",
    "AWS::URLSuffix": "amazonaws.com",
}


class Deployment:
    """A template with a value for each parameter: those given, and the defaults."""

    def __init__(self, template, given):
        self.template = template
        self.parameters = {name: str(p["Default"]) for name, p in template["Parameters"].items() if "Default" in p} | given

    def conditions(self):
        """The conditions that hold."""
        return {name for name in self.template["Conditions"] if self.value({"Condition": name})}

    def refusals(self):
        """What CloudFormation says to these parameters, by the template's rules."""
        for rule in self.template["Rules"].values():
            if self.value(rule.get("RuleCondition", True)):
                yield from (a["AssertDescription"] for a in rule["Assertions"] if not self.value(a["Assert"]))

    def value(self, node):
        if isinstance(node, list):
            return [value for value in map(self.value, node) if value is not None]
        if not isinstance(node, dict):
            return node
        if len(node) == 1:
            (function, argument), = node.items()
            if function in FUNCTIONS:
                return FUNCTIONS[function](self, argument)
            if function == "Condition" and isinstance(argument, str):
                return self.value(self.template["Conditions"][argument])
        values = {key: self.value(value) for key, value in node.items()}
        return {key: value for key, value in values.items() if value is not None}

    def referred(self, name):
        """A parameter, a pseudo parameter, or else a resource: some text that stands for it."""
        return self.parameters[name] if name in self.parameters else PSEUDO[name] if name in PSEUDO else f"<{name}>"

    def substituted(self, argument):
        text, own = (argument, {}) if isinstance(argument, str) else argument
        own = {name: self.value(value) for name, value in own.items()}
        return re.sub(r"\$\{([^!}]+)\}", lambda m: str(own[m[1]] if m[1] in own else self.referred(m[1])), text)


FUNCTIONS = {
    "Ref": Deployment.referred,
    "Fn::And": lambda self, these: all(map(self.value, these)),
    "Fn::Equals": lambda self, both: self.value(both[0]) == self.value(both[1]),
    "Fn::GetAtt": lambda self, path: f"<{path if isinstance(path, str) else '.'.join(path)}>",
    "Fn::If": lambda self, choice: self.value(choice[1 if self.value({"Condition": choice[0]}) else 2]),
    "Fn::Not": lambda self, one: not self.value(one[0]),
    "Fn::Or": lambda self, these: any(map(self.value, these)),
    "Fn::Split": lambda self, both: self.value(both[1]).split(both[0]),
    "Fn::Sub": Deployment.substituted,
}
