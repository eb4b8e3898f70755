"""Holds templates against CloudFormation Guard rules.

Where a template refers to a parameter, the rules see that parameter's default.

stdin: {"rules": [path of a .guard file, ...], "templates": {name: template}}
stdout: {name: {"failed": [rule, ...], "passed": [rule, ...], "skipped": [rule, ...]}}, rules sorted by name.
"""

import json
import sys


def evaluate(template: dict, rules: str) -> dict:
    """One template against one file of rules, as Guard's own report."""
    try:
        from cfn_guard_rs.cfn_guard_rs import run_checks_rs
    except ModuleNotFoundError:
        from guardpycfn import validate_with_guard

        answer = validate_with_guard(json.dumps(template), rules)
        if not answer.get("success"):
            raise SystemExit(f"guard: {answer}")
        return answer["result"]
    return json.loads(run_checks_rs(json.dumps(template), rules, False))


def with_defaults(value, parameters: dict):
    """The same value with each reference to a parameter replaced by the parameter's default."""
    if isinstance(value, dict):
        if set(value) == {"Ref"} and "Default" in parameters.get(value["Ref"], {}):
            return parameters[value["Ref"]]["Default"]
        return {key: with_defaults(inner, parameters) for key, inner in value.items()}
    if isinstance(value, list):
        return [with_defaults(inner, parameters) for inner in value]
    return value


def main() -> None:
    """Every template against every file of rules."""
    request = json.load(sys.stdin)
    rules = []
    for path in request["rules"]:
        with open(path, encoding="utf-8") as file:
            rules.append(file.read())
    report = {}
    for name, template in request["templates"].items():
        template = with_defaults(template, template.get("Parameters", {}))
        found = {"failed": set(), "passed": set(), "skipped": set()}
        for text in rules:
            answer = evaluate(template, text)
            found["failed"] |= {entry["Rule"]["name"] for entry in answer["not_compliant"]}
            found["passed"] |= set(answer["compliant"])
            found["skipped"] |= set(answer["not_applicable"])
        report[name] = {kind: sorted(names) for kind, names in found.items()}
    json.dump(report, sys.stdout)


if __name__ == "__main__":
    main()
