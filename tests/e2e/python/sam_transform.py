"""Prints what SAM makes of a template, as JSON.

usage: sam_transform.py TEMPLATE [--decided] [PARAMETER=VALUE ...]

The parameters are those that SAM itself looks at; the others stay references. With --decided SAM sees their defaults, and conditions
are decided after it with the parameters. Code that is built locally is named as if it was packaged.
"""

import copy
import json
import logging
import sys

from cfnlint.decode import decode
from decided import decided
from samtranslator.translator.transform import transform


class NoPolicies:
    """SAM's managed policies by name: the template names none."""

    def load(self) -> dict:
        """None."""
        return {}


def main() -> None:
    """Decode, transform, print."""
    logging.disable(logging.WARNING)
    template, problems = decode(sys.argv[1])
    if problems:
        raise SystemExit("\n".join(str(problem) for problem in problems))
    template = json.loads(json.dumps(template))
    for resource in template["Resources"].values():
        is_function = resource["Type"] == "AWS::Serverless::Function"
        if is_function and isinstance(resource["Properties"]["CodeUri"], str):
            resource["Properties"]["CodeUri"] = "s3://bucket/key"
    is_decided = "--decided" in sys.argv
    parameters = dict(argument.split("=", 1) for argument in sys.argv[2:] if argument != "--decided")
    made = transform(copy.deepcopy(template), {} if is_decided else parameters, NoPolicies())
    json.dump(decided(made, parameters) if is_decided else made, sys.stdout)


if __name__ == "__main__":
    main()
