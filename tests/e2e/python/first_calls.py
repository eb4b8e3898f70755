"""The calls that somebody makes first who has awscli or boto3 and a local AWS, and some that it does not have.

usage: first_calls.py, with AWS_ENDPOINT_URL in the environment, and nothing else of the local AWS
stdout: one JSON object, the evidence that tests/clients.rs judges.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

STREAM, TABLE, FUNCTION, QUEUE = "tidemark-transactions", "tidemark-cards", "tidemark-score", "tidemark-quarantine"


def client(service):
    return boto3.client(service, config=Config(retries={"total_max_attempts": 1}))


def words_of(call):
    """What a call that is refused says."""
    try:
        call()
    except ClientError as error:
        return {"code": error.response["Error"]["Code"], "message": error.response["Error"]["Message"]}
    return {"code": None, "message": "it was not refused"}


def with_boto3():
    kinesis, lambda_, sqs, dynamodb = client("kinesis"), client("lambda"), client("sqs"), client("dynamodb")
    first = kinesis.describe_stream(StreamName=STREAM, Limit=1)["StreamDescription"]
    last = first["Shards"][-1]["ShardId"]
    rest = kinesis.describe_stream(StreamName=STREAM, ExclusiveStartShardId=last)["StreamDescription"]
    put = kinesis.put_record(StreamName=STREAM, PartitionKey="k", Data=b"no event")
    at = kinesis.get_shard_iterator(StreamName=STREAM, ShardId=put["ShardId"], ShardIteratorType="TRIM_HORIZON")
    mappings = lambda_.list_event_source_mappings(FunctionName=FUNCTION)["EventSourceMappings"]
    mapping = mappings[0]["UUID"]
    paused = lambda_.update_event_source_mapping(UUID=mapping, Enabled=False)["State"]
    invoked = lambda_.invoke(FunctionName=FUNCTION, Payload=b'{"Records":[]}')
    queue = sqs.get_queue_url(QueueName=QUEUE)["QueueUrl"]
    return {
        "account": client("sts").get_caller_identity()["Account"],
        "streams": sorted(kinesis.list_streams()["StreamNames"]),
        "stream_status": first["StreamStatus"],
        "pages_of_shards": [len(first["Shards"]), first["HasMoreShards"], len(rest["Shards"]), rest["HasMoreShards"]],
        "open_shards": kinesis.describe_stream_summary(StreamName=STREAM)["StreamDescriptionSummary"]["OpenShardCount"],
        "shards_listed": len(kinesis.list_shards(StreamName=STREAM)["Shards"]),
        "read": [r["Data"].decode() for r in kinesis.get_records(ShardIterator=at["ShardIterator"])["Records"]],
        "tables": dynamodb.list_tables()["TableNames"],
        "table_status": dynamodb.describe_table(TableName=TABLE)["Table"]["TableStatus"],
        "items": dynamodb.scan(TableName=TABLE)["Count"],
        "functions": sorted(f["FunctionName"] for f in lambda_.list_functions()["Functions"]),
        "function_state": lambda_.get_function(FunctionName=FUNCTION + ":live")["Configuration"]["State"],
        "handler": lambda_.get_function_configuration(FunctionName=FUNCTION)["Handler"],
        "mappings": len(mappings),
        "mappings_of_nobody": len(lambda_.list_event_source_mappings(FunctionName="nobody")["EventSourceMappings"]),
        "batch_size": lambda_.get_event_source_mapping(UUID=mapping)["BatchSize"],
        "paused": paused,
        "resumed": lambda_.update_event_source_mapping(UUID=mapping, Enabled=True)["State"],
        "invoked": [invoked["StatusCode"], invoked.get("FunctionError")],
        "queues": len(sqs.list_queues(QueueNamePrefix="tidemark-")["QueueUrls"]),
        "messages": sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["All"])["Attributes"]["QueueArn"],
    }


def refused():
    return {
        "kinesis": words_of(lambda: client("kinesis").enable_enhanced_monitoring(StreamName=STREAM, ShardLevelMetrics=["ALL"])),
        "sqs": words_of(lambda: client("sqs").list_message_move_tasks(SourceArn="arn:aws:sqs:eu-west-1:000000000000:q")),
        "lambda": words_of(lambda: client("lambda").list_layers()),
        "lambda_nobody": words_of(lambda: client("lambda").get_function(FunctionName="nobody")),
        "sts": words_of(lambda: client("sts").get_session_token()),
        "iam": words_of(lambda: client("iam").list_roles()),
        "logs": words_of(lambda: client("logs").describe_log_groups()),
        "cloudwatch": words_of(lambda: client("cloudwatch").list_metrics()),
        "cloudformation": words_of(lambda: client("cloudformation").describe_stacks()),
        "s3": words_of(lambda: client("s3").list_buckets()),
    }


def aws(*arguments):
    run = subprocess.run([Path(sys.executable).with_name("aws"), *arguments], capture_output=True, text=True, check=False)
    return {"status": run.returncode, "stdout": run.stdout, "stderr": run.stderr.strip()}


def with_awscli():
    return {
        "identity": aws("sts", "get-caller-identity"),
        "streams": aws("kinesis", "list-streams"),
        "stream": aws("kinesis", "describe-stream", "--stream-name", STREAM),
        "mappings": aws("lambda", "list-event-source-mappings", "--function-name", FUNCTION),
        "function": aws("lambda", "get-function", "--function-name", FUNCTION),
        "functions": aws("lambda", "list-functions"),
        "table": aws("dynamodb", "describe-table", "--table-name", TABLE),
        # Version 1 of awscli asks AWS itself for SQS, whatever AWS_ENDPOINT_URL says.
        "queues": aws("--endpoint-url", os.environ["AWS_ENDPOINT_URL"], "sqs", "list-queues"),
        "logs": aws("logs", "describe-log-groups"),
    }


print(json.dumps({"boto3": with_boto3(), "refused": refused(), "awscli": with_awscli()}))
