"""Holds templates against CloudFormation Guard rules.

The rules see a template as CloudFormation takes it with its parameters, which are the defaults where nothing else is given: conditions
are decided, and where it refers to a parameter stands the value.

stdin: {"rules": [path of a .guard file, ...], "templates": {name: template}, "parameters": {name: {parameter: value}}}
stdout: {name: {"failed": [rule, ...], "passed": [rule, ...], "skipped": [rule, ...]}}, rules sorted by name.
"""

import json
import sys

from decided import decided, with_values


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
    answer = run_checks_rs(json.dumps(template), rules, False)
    try:
        return json.loads(answer)
    except ValueError as problem:
        raise SystemExit(f"guard: {answer}") from problem


def main() -> None:
    """Every template against every file of rules."""
    request = json.load(sys.stdin)
    rules = []
    for path in request["rules"]:
        with open(path, encoding="utf-8") as file:
            rules.append(file.read())
    report = {}
    for name, template in request["templates"].items():
        given = request.get("parameters", {}).get(name, {})
        declared = template.get("Parameters", {})
        values = {parameter: given.get(parameter, one["Default"]) for parameter, one in declared.items() if "Default" in one}
        template = with_values(decided(template, given), values)
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
