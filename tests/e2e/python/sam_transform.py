"""Prints what SAM makes of a template, as JSON.

usage: sam_transform.py TEMPLATE [PARAMETER=VALUE ...]

The parameters are those that SAM itself looks at; the others stay references. Code that is built locally is named as if it was
packaged.
"""

import copy
import json
import logging
import sys

from cfnlint.decode import decode
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
        if resource["Type"] == "AWS::Serverless::Function":
            resource["Properties"]["CodeUri"] = "s3://bucket/key"
    parameters = dict(argument.split("=", 1) for argument in sys.argv[2:])
    json.dump(transform(copy.deepcopy(template), parameters, NoPolicies()), sys.stdout)


if __name__ == "__main__":
    main()
