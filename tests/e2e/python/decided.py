"""A template as CloudFormation takes it with given parameters: conditions decided, the branches of Fn::If chosen, absent things gone.

usage: decided.py TEMPLATE [PARAMETER=VALUE ...] prints it as JSON; parameters that are not given have their defaults.
References to parameters stay references; `with_values` puts values in their places.
"""

import json
import sys

ABSENT = object()


def values_of(template: dict, given: dict) -> dict:
    """Every parameter's value, as text; one that the template has not, or does not allow, is a mistake of the caller's."""
    parameters = template.get("Parameters", {})
    for name, value in given.items():
        allowed = parameters.get(name, {}).get("AllowedValues")
        if name not in parameters or (allowed and value not in map(str, allowed)):
            raise SystemExit(f"the template takes no {name}={value}")
    return {name: str(given.get(name, declared.get("Default", ""))) for name, declared in parameters.items()}


def holds(expression, conditions: dict, values: dict) -> bool:
    """Whether a condition holds."""
    ((function, inner),) = expression.items()
    match function:
        case "Condition":
            return holds(conditions[inner], conditions, values)
        case "Fn::Equals":
            left, right = (values[side["Ref"]] if isinstance(side, dict) else str(side) for side in inner)
            return left == right
        case "Fn::Not":
            return not holds(inner[0], conditions, values)
        case "Fn::And":
            return all(holds(part, conditions, values) for part in inner)
        case "Fn::Or":
            return any(holds(part, conditions, values) for part in inner)
    raise SystemExit(f"a condition with {function}")


def chosen(value, is_true: dict):
    """The value without Fn::If and AWS::NoValue; `ABSENT` when nothing is left of it."""
    if value == {"Ref": "AWS::NoValue"}:
        return ABSENT
    if isinstance(value, dict) and set(value) == {"Fn::If"}:
        condition, then, otherwise = value["Fn::If"]
        return chosen(then if is_true[condition] else otherwise, is_true)
    if isinstance(value, dict):
        kept = {key: chosen(inner, is_true) for key, inner in value.items()}
        return {key: inner for key, inner in kept.items() if inner is not ABSENT}
    if isinstance(value, list):
        return [inner for inner in (chosen(inner, is_true) for inner in value) if inner is not ABSENT]
    return value


def decided(template: dict, given: dict) -> dict:
    """The template with its conditions decided: resources and outputs of conditions that do not hold are gone."""
    values = values_of(template, given)
    conditions = template.get("Conditions", {})
    is_true = {name: holds(expression, conditions, values) for name, expression in conditions.items()}
    result = {key: value for key, value in template.items() if key != "Conditions"}
    for section in ("Resources", "Outputs"):
        there = {name: thing for name, thing in template.get(section, {}).items() if is_true.get(thing.get("Condition"), True)}
        result[section] = chosen(there, is_true)
    return result


def with_values(value, values: dict):
    """The same value with each reference to one of the parameters replaced by its value."""
    if isinstance(value, dict):
        if set(value) == {"Ref"} and value["Ref"] in values:
            return values[value["Ref"]]
        return {key: with_values(inner, values) for key, inner in value.items()}
    if isinstance(value, list):
        return [with_values(inner, values) for inner in value]
    return value


def main() -> None:
    """Decode, decide, print."""
    from cfnlint.decode import decode

    template, problems = decode(sys.argv[1])
    if problems:
        raise SystemExit("\n".join(str(problem) for problem in problems))
    given = dict(argument.split("=", 1) for argument in sys.argv[2:])
    json.dump(decided(json.loads(json.dumps(template)), given), sys.stdout)


if __name__ == "__main__":
    main()
