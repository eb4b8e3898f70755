"""Deploys the template to ministack on loopback, sends records through the deployed function, prints what became of them.

usage: deploy.py TEMPLATE BOOTSTRAP, with the transactions on stdin, one JSON object a line
stdout: one JSON object, the evidence that tests/deployment.rs judges.

The mapping is created disabled: ministack's has no failure semantics. This script takes its place: it reads the stream and
invokes the function with the batch, as Lambda would.
"""

import base64
import hashlib
import io
import json
import os
import re
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
import zipfile
from pathlib import Path

import boto3
from botocore.config import Config

REGION = "eu-west-1"
START_SECONDS_MAX = 60
STACK_SECONDS_MAX = 120
# Some rounds of ministack's poller, which looks every second at the latest.
POLLER_SECONDS = 3
READ_PAGES_MAX = 50


class Cloud:
    """A ministack process of our own, on a free port of 127.0.0.1; it ends with the `with` block."""

    def __init__(self, folder: str):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.endpoint = f"http://127.0.0.1:{self.port}"
        self.log_path = Path(folder) / "ministack.log"
        self.environment = {
            "PATH": os.environ["PATH"],
            "HOME": folder,
            "TMPDIR": folder,
            "S3_DATA_DIR": f"{folder}/s3",
            "BIND_HOST": "127.0.0.1",
            "MINISTACK_HOST": "127.0.0.1",
            "GATEWAY_PORT": str(self.port),
            "MINISTACK_REGION": REGION,
            "AWS_DEFAULT_REGION": REGION,
            # ministack gives this to the functions that it runs.
            "AWS_ENDPOINT_URL": self.endpoint,
        }

    def __enter__(self) -> "Cloud":
        with open(self.log_path, "wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "ministack"], env=self.environment, stdout=log, stderr=subprocess.STDOUT
            )
        deadline = time.monotonic() + START_SECONDS_MAX
        while True:
            try:
                urllib.request.urlopen(f"{self.endpoint}/_ministack/health", timeout=2).read()
                return self
            except OSError as problem:
                if self.process.poll() is not None or time.monotonic() > deadline:
                    self.__exit__()
                    raise SystemExit(f"ministack does not answer: {problem}\n{self.log()}") from problem
                time.sleep(0.2)

    def __exit__(self, *_) -> None:
        self.process.terminate()
        try:
            self.process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def log(self) -> str:
        """The last lines that it wrote."""
        return "\n".join(self.log_path.read_text(errors="replace").splitlines()[-60:])

    def client(self, service: str):
        """A client that tries once: a failure must show."""
        return boto3.client(
            service,
            endpoint_url=self.endpoint,
            region_name=REGION,
            aws_access_key_id="test",
            aws_secret_access_key="test",
            config=Config(retries={"total_max_attempts": 1}, read_timeout=120),
        )


def upload(cloud: Cloud, bootstrap: Path) -> str:
    """A function's zip, in a bucket, as `sam package` would put it there."""
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as package:
        entry = zipfile.ZipInfo("bootstrap")
        entry.external_attr = 0o755 << 16
        entry.compress_type = zipfile.ZIP_DEFLATED
        package.writestr(entry, bootstrap.read_bytes())
    s3 = cloud.client("s3")
    if not s3.list_buckets()["Buckets"]:
        s3.create_bucket(Bucket="tidemark-artefacts", CreateBucketConfiguration={"LocationConstraint": REGION})
    s3.put_object(Bucket="tidemark-artefacts", Key=f"{bootstrap.name}.zip", Body=archive.getvalue())
    return f"s3://tidemark-artefacts/{bootstrap.name}.zip"


def template_url(cloud: Cloud, template: str) -> str:
    """A template's place in a bucket: CloudFormation takes one of more than 51,200 bytes in no other way."""
    cloud.client("s3").put_object(Bucket="tidemark-artefacts", Key="template.yaml", Body=template.encode())
    return f"{cloud.endpoint}/tidemark-artefacts/template.yaml"


def create_stack(cloud: Cloud, template: str) -> dict:
    """The stack, its mapping disabled, without CodeDeploy, which ministack has not; the answer is its outputs."""
    cloudformation = cloud.client("cloudformation")
    cloudformation.create_stack(
        StackName="tidemark",
        TemplateURL=template_url(cloud, template),
        Capabilities=["CAPABILITY_IAM", "CAPABILITY_NAMED_IAM", "CAPABILITY_AUTO_EXPAND"],
        Parameters=[
            {"ParameterKey": name, "ParameterValue": "false"} for name in ("MappingEnabled", "DeploymentGradual")
        ],
    )
    deadline = time.monotonic() + STACK_SECONDS_MAX
    while True:
        stack = cloudformation.describe_stacks(StackName="tidemark")["Stacks"][0]
        if stack["StackStatus"] == "CREATE_COMPLETE":
            return {output["OutputKey"]: output["OutputValue"] for output in stack["Outputs"]}
        if "IN_PROGRESS" not in stack["StackStatus"] or time.monotonic() > deadline:
            events = cloudformation.describe_stack_events(StackName="tidemark")["StackEvents"]
            reasons = [f"{event['LogicalResourceId']}: {event.get('ResourceStatusReason')}" for event in events]
            raise SystemExit(f"{stack['StackStatus']}\n" + "\n".join(reasons) + "\n" + cloud.log())
        time.sleep(0.2)


def read_stream(kinesis, name: str) -> list:
    """Every record of a stream, each with its shard."""
    records = []
    for shard in kinesis.list_shards(StreamName=name)["Shards"]:
        iterator = kinesis.get_shard_iterator(
            StreamName=name, ShardId=shard["ShardId"], ShardIteratorType="TRIM_HORIZON"
        )["ShardIterator"]
        for _ in range(READ_PAGES_MAX):
            page = kinesis.get_records(ShardIterator=iterator, Limit=1000)
            records += [(shard["ShardId"], record) for record in page["Records"]]
            iterator = page.get("NextShardIterator")
            if iterator is None or not page["Records"]:
                break
    return records


def batch_event(records: list, stream_arn: str) -> dict:
    """The event that Lambda makes of a shard's records."""
    return {
        "Records": [
            {
                "kinesis": {
                    "kinesisSchemaVersion": "1.0",
                    "partitionKey": record["PartitionKey"],
                    "sequenceNumber": record["SequenceNumber"],
                    "data": base64.b64encode(record["Data"]).decode(),
                    "approximateArrivalTimestamp": record["ApproximateArrivalTimestamp"].timestamp(),
                },
                "eventSource": "aws:kinesis",
                "eventVersion": "1.0",
                "eventID": f"{shard}:{record['SequenceNumber']}",
                "eventName": "aws:kinesis:record",
                "invokeIdentityArn": "arn:aws:iam::000000000000:role/score",
                "awsRegion": REGION,
                "eventSourceARN": stream_arn,
            }
            for shard, record in records
        ]
    }


def invoke_with_shards(cloud: Cloud, outputs: dict) -> list:
    """One invocation a shard with all that the shard holds; the function's answers."""
    records = read_stream(cloud.client("kinesis"), outputs["TransactionsStreamName"])
    answers = []
    for shard in sorted({shard for shard, _ in records}):
        batch = [(name, record) for name, record in records if name == shard]
        answer = cloud.client("lambda").invoke(
            FunctionName=outputs["ScoreFunctionAlias"],
            Payload=json.dumps(batch_event(batch, outputs["TransactionsStreamArn"])),
        )
        payload = json.loads(answer["Payload"].read())
        if answer.get("FunctionError"):
            raise SystemExit(f"the function failed: {payload}\n{cloud.log()}")
        answers.append(payload)
    return answers


def redrive(cloud: Cloud, outputs: dict) -> dict:
    """The deployed redrive function reads the whole stream again; its answer."""
    answer = cloud.client("lambda").invoke(
        FunctionName=outputs["RedriveFunctionName"],
        Payload=json.dumps({"source": "range", "range": {}}),
    )
    payload = json.loads(answer["Payload"].read())
    if answer.get("FunctionError"):
        raise SystemExit(f"the redrive function failed: {payload}\n{cloud.log()}")
    return payload


def outcomes(cloud: Cloud, outputs: dict) -> list:
    """What the scores stream holds, as text."""
    return [record["Data"].decode() for _, record in read_stream(cloud.client("kinesis"), outputs["ScoresStreamName"])]


def table_items(cloud: Cloud, outputs: dict) -> dict:
    """Each item's digest by its keys."""
    items = cloud.client("dynamodb").scan(TableName=outputs["CardsTableName"])["Items"]
    return {
        f"{item['pk']['S']} {item['sk']['S']}": {
            "attributes": sorted(item),
            "version": item.get("v", {}).get("N"),
            "ttl": item.get("ttl", {}).get("N"),
            "digest": hashlib.sha256(repr(sorted(item.items())).encode()).hexdigest(),
        }
        for item in items
    }


def quarantined(cloud: Cloud, outputs: dict) -> list:
    """The messages of the quarantine queue."""
    answer = cloud.client("sqs").receive_message(
        QueueUrl=outputs["QuarantineQueueUrl"], MaxNumberOfMessages=10, WaitTimeSeconds=1
    )
    return [json.loads(message["Body"]) for message in answer.get("Messages", [])]


def localised(cloud: Cloud, template: str, bootstrap: Path) -> str:
    """The template with the packaged functions, as `sam package` would write it; the redrive's binary stands beside the score's."""
    changes = {
        r"CodeUri: \.\./functions/score\b": f"CodeUri: {upload(cloud, bootstrap)}",
        r"CodeUri: \.\./functions/redrive\b": f"CodeUri: {upload(cloud, bootstrap.with_name('redrive'))}",
    }
    for pattern, text in changes.items():
        template, places = re.subn(pattern, text, template)
        if places != 1:
            raise SystemExit(f"expected one place with {pattern}, found {places}")
    return template


def main() -> None:
    """Deploy, send, drive, collect."""
    template_path, bootstrap = sys.argv[1:3]
    lines = [line for line in sys.stdin.read().splitlines() if line]
    with tempfile.TemporaryDirectory() as folder, Cloud(folder) as cloud:
        template = localised(cloud, Path(template_path).read_text(encoding="utf-8"), Path(bootstrap))
        started = time.monotonic()
        outputs = create_stack(cloud, template)
        evidence = {"outputs": outputs, "stack_seconds": round(time.monotonic() - started, 1)}
        resources = cloud.client("cloudformation").describe_stack_resources(StackName="tidemark")["StackResources"]
        evidence["resources"] = {one["LogicalResourceId"]: one["ResourceType"] for one in resources}
        evidence["mapping"] = cloud.client("lambda").get_event_source_mapping(UUID=outputs["ScoreMappingId"])
        evidence["function"] = cloud.client("lambda").get_function_configuration(FunctionName=outputs["ScoreFunctionName"])
        evidence["table"] = cloud.client("dynamodb").describe_table(TableName=outputs["CardsTableName"])["Table"]

        for line in lines:
            # The partition key is the card, where there is one.
            try:
                key = json.loads(line).get("card_id", "none")
            except ValueError:
                key = "none"
            cloud.client("kinesis").put_record(
                StreamName=outputs["TransactionsStreamName"], Data=line.encode(), PartitionKey=key
            )

        time.sleep(POLLER_SECONDS)
        evidence["outcomes_before"] = outcomes(cloud, outputs)
        evidence["answers"] = invoke_with_shards(cloud, outputs)
        evidence["outcomes"] = outcomes(cloud, outputs)
        evidence["items"] = table_items(cloud, outputs)
        evidence["quarantined"] = quarantined(cloud, outputs)
        evidence["answers_again"] = invoke_with_shards(cloud, outputs)
        evidence["outcomes_after_again"] = outcomes(cloud, outputs)
        evidence["items_after_again"] = table_items(cloud, outputs)
        evidence["redrive"] = redrive(cloud, outputs)
        evidence["items_after_redrive"] = table_items(cloud, outputs)
    json.dump(evidence, sys.stdout, default=str)


if __name__ == "__main__":
    main()
