"""Leaves a stack in ROLLBACK_COMPLETE, as a first deployment that failed does.

usage: rolled_back.py ENDPOINT STACK
stdout: its status.
"""

import sys
import time

import boto3

SECONDS_MAX = 60
# A signal that nobody gives.
TEMPLATE = """
Description: "Tidemark: a deployment that fails"
Parameters: { Prefix: { Type: String, Default: tidemark } }
Resources:
  Handle: { Type: AWS::CloudFormation::WaitConditionHandle }
  Broken: { Type: AWS::CloudFormation::WaitCondition, Properties: { Handle: !Ref Handle, Timeout: "1" } }
"""


def main() -> None:
    """Make it, wait until it has failed."""
    endpoint, stack = sys.argv[1:3]
    cloudformation = boto3.client("cloudformation", endpoint_url=endpoint)
    cloudformation.create_stack(StackName=stack, TemplateBody=TEMPLATE)
    deadline = time.monotonic() + SECONDS_MAX
    status = "CREATE_IN_PROGRESS"
    while status.endswith("IN_PROGRESS") and time.monotonic() < deadline:
        time.sleep(0.2)
        status = cloudformation.describe_stacks(StackName=stack)["Stacks"][0]["StackStatus"]
    print(status)


if __name__ == "__main__":
    main()
