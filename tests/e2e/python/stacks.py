"""Deploys the template to ministack on loopback as a person might: a first deployment that fails, a second one, one with every option.

usage: stacks.py TEMPLATE BOOTSTRAP
stdout: one JSON object, the evidence that tests/deployment.rs judges.
"""

import json
import sys
import tempfile
import time
from pathlib import Path

from deploy import STACK_SECONDS_MAX, Cloud, localised, template_url

# Waits a second for a signal that nobody gives, after all that has a name.
BROKEN = """
Resources:
  Handle:
    Type: AWS::CloudFormation::WaitConditionHandle
  Broken:
    Type: AWS::CloudFormation::WaitCondition
    DependsOn: [ScoreMapping, RedriveFunction, UnrecoverableQueue, OperatorPolicy]
    Properties: { Handle: !Ref Handle, Timeout: "1" }
"""
NETWORK = "10.0.0.0/16"


def deployed(cloud: Cloud, stack: str, template: str, parameters: dict) -> dict:
    """How a deployment of a stack ended: its status, and why each resource failed."""
    cloudformation = cloud.client("cloudformation")
    given = {"MappingEnabled": "false", "DeploymentGradual": "false", **parameters}
    cloudformation.create_stack(
        StackName=stack,
        TemplateURL=template_url(cloud, template),
        Capabilities=["CAPABILITY_IAM", "CAPABILITY_NAMED_IAM", "CAPABILITY_AUTO_EXPAND"],
        Parameters=[{"ParameterKey": name, "ParameterValue": value} for name, value in given.items()],
    )
    deadline = time.monotonic() + STACK_SECONDS_MAX
    while True:
        status = cloudformation.describe_stacks(StackName=stack)["Stacks"][0]["StackStatus"]
        if not status.endswith("IN_PROGRESS"):
            break
        if time.monotonic() > deadline:
            raise SystemExit(f"{stack}: {status}\n{cloud.log()}")
        time.sleep(0.2)
    events = cloudformation.describe_stack_events(StackName=stack)["StackEvents"]
    failed = {
        event["LogicalResourceId"]: event.get("ResourceStatusReason")
        for event in events
        if event["ResourceStatus"].endswith("FAILED")
    }
    return {"status": status, "failed": failed}


def there(cloud: Cloud, prefix: str) -> list:
    """The named resources of a prefix that exist."""
    return sorted(
        [f"stream {name}" for name in cloud.client("kinesis").list_streams()["StreamNames"] if name.startswith(prefix)]
        + [f"table {name}" for name in cloud.client("dynamodb").list_tables()["TableNames"] if name.startswith(prefix)]
        + [f"queue {url.rsplit('/', 1)[1]}" for url in cloud.client("sqs").list_queues(QueueNamePrefix=prefix).get("QueueUrls", [])]
        + [
            f"function {one['FunctionName']}"
            for one in cloud.client("lambda").list_functions()["Functions"]
            if one["FunctionName"].startswith(prefix)
        ]
    )


def delete(cloud: Cloud, stack: str) -> None:
    """Deletes a stack and waits until it is gone."""
    cloudformation = cloud.client("cloudformation")
    cloudformation.delete_stack(StackName=stack)
    deadline = time.monotonic() + STACK_SECONDS_MAX
    while time.monotonic() < deadline:
        try:
            if cloudformation.describe_stacks(StackName=stack)["Stacks"][0]["StackStatus"] == "DELETE_COMPLETE":
                return
        except cloudformation.exceptions.ClientError:
            return
        time.sleep(0.2)
    raise SystemExit(f"{stack} is not deleted\n{cloud.log()}")


def first_fails(cloud: Cloud, template: str) -> dict:
    """A first deployment in which the last resource fails, then one of the template, under the same names; then the stack is deleted."""
    broken = template.replace("\nResources:\n", BROKEN, 1)
    unprotected = {"TableDeletionProtection": "false"}
    evidence = {"first": deployed(cloud, "tidemark", broken, unprotected), "left": there(cloud, "tidemark")}
    delete(cloud, "tidemark")
    evidence["second"] = deployed(cloud, "tidemark", template, unprotected)
    evidence["deployed"] = there(cloud, "tidemark")
    delete(cloud, "tidemark")
    evidence["kept"] = there(cloud, "tidemark")
    return evidence


def with_options(cloud: Cloud, template: str) -> dict:
    """A stack with every option that ministack has; the answer is what came of them."""
    ec2 = cloud.client("ec2")
    vpc = ec2.create_vpc(CidrBlock=NETWORK)["Vpc"]["VpcId"]
    subnets = [ec2.create_subnet(VpcId=vpc, CidrBlock=f"10.0.{at}.0/24")["Subnet"]["SubnetId"] for at in (1, 2)]
    routes = ec2.create_route_table(VpcId=vpc)["RouteTable"]["RouteTableId"]
    key = cloud.client("kms").create_key()["KeyMetadata"]["Arn"]
    parameters = {
        "Prefix": "options",
        "KmsKeyArn": key,
        "VpcId": vpc,
        "VpcSubnetIds": ",".join(subnets),
        "VpcRouteTableIds": routes,
        "StreamShards": "2",
        "TableWarmWriteUnits": "20000",
        "TableWriteUnitsMax": "50000",
        "ScoreConcurrencyReserved": "20",
        "RedriveConcurrencyMax": "2",
        "RedriveRatePerSecondMax": "5000",
    }
    evidence = {"given": parameters, "ended": deployed(cloud, "options", template, parameters)}
    if evidence["ended"]["status"] != "CREATE_COMPLETE":
        return evidence
    lambda_ = cloud.client("lambda")
    evidence["function"] = lambda_.get_function_configuration(FunctionName="options-redrive")
    evidence["stream"] = cloud.client("kinesis").describe_stream_summary(StreamName="options-transactions")["StreamDescriptionSummary"]
    endpoints = ec2.describe_vpc_endpoints()["VpcEndpoints"]
    evidence["endpoints"] = sorted(one["ServiceName"].rsplit(".", 1)[1] for one in endpoints)
    sqs = cloud.client("sqs")
    url = sqs.get_queue_url(QueueName="options-dead-letter")["QueueUrl"]
    evidence["queue"] = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
    half = {"Prefix": "half", "VpcId": vpc}
    try:
        evidence["half"] = deployed(cloud, "half", template, half)["status"]
    except cloud.client("cloudformation").exceptions.ClientError as refused:
        evidence["half"] = str(refused)
    return evidence


def main() -> None:
    """Deploy, look, delete."""
    path, bootstrap = sys.argv[1:3]
    with tempfile.TemporaryDirectory() as folder, Cloud(folder) as cloud:
        template = localised(cloud, Path(path).read_text(encoding="utf-8"), Path(bootstrap))
        evidence = {"first_fails": first_fails(cloud, template), "with_options": with_options(cloud, template)}
    json.dump(evidence, sys.stdout, default=str)


if __name__ == "__main__":
    main()
