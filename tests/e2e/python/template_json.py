"""Prints a CloudFormation template as JSON, with the short forms of its functions written out (`!Ref x` as `{"Ref": "x"}`)."""

import json
import sys

from cfnlint.decode import decode

template, problems = decode(sys.argv[1])
if problems:
    raise SystemExit("\n".join(str(problem) for problem in problems))
json.dump(template, sys.stdout)
