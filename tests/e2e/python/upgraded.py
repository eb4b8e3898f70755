"""What the test of an upgrade under load asks an emulator, beside the command's own verbs.

usage: upgraded.py ENDPOINT version   the score function's alias: its version, and the digest of that version's code
       upgraded.py ENDPOINT outcomes  every outcome that was sent, one text each
       upgraded.py ENDPOINT alarms    the alarms that are there, and the rules of EventBridge that are on
       upgraded.py ENDPOINT state ALARM STATE ALARM  puts the first alarm into a state; the state of the second one then
       upgraded.py ENDPOINT letters EVENT  writes the dead letters of all records of events whose ids begin so, one for each shard,
                                      as Lambda would; how many records they name
       upgraded.py ENDPOINT release VERSION  has the pipeline's stack say that this release made it
stdout: one JSON value.
"""

import json
import re
import sys

import boto3

READ_PAGES_MAX = 500
SCORES = "tidemark-scores"
STACK = "tidemark"
TRANSACTIONS = "tidemark-transactions"


def records_of_shard(kinesis, stream: str, shard: str):
    """Every record of a shard."""
    iterator = kinesis.get_shard_iterator(StreamName=stream, ShardId=shard, ShardIteratorType="TRIM_HORIZON")["ShardIterator"]
    for _ in range(READ_PAGES_MAX):
        page = kinesis.get_records(ShardIterator=iterator, Limit=10_000)
        yield from page["Records"]
        iterator = page.get("NextShardIterator")
        if not page["Records"] or not iterator:
            break


def records_of(kinesis, stream: str):
    """Every record of a stream."""
    for shard in kinesis.list_shards(StreamName=stream)["Shards"]:
        yield from records_of_shard(kinesis, stream, shard["ShardId"])


def version(client) -> dict:
    """What the mapping invokes."""
    functions = client("lambda")
    alias = functions.get_alias(FunctionName="tidemark-score", Name="live")["FunctionVersion"]
    code = functions.get_function(FunctionName="tidemark-score", Qualifier=alias)["Configuration"]
    return {"version": alias, "digest": code["CodeSha256"], "memory": code["MemorySize"]}


def alarms(client) -> dict:
    """Their names."""
    pages = list(client("cloudwatch").get_paginator("describe_alarms").paginate(AlarmTypes=["MetricAlarm", "CompositeAlarm"]))
    rules = client("events").list_rules()["Rules"]
    return {
        "alarms": sorted(alarm["AlarmName"] for page in pages for alarm in page["MetricAlarms"]),
        "joined": {alarm["AlarmName"]: alarm["AlarmRule"] for page in pages for alarm in page["CompositeAlarms"]},
        "rules": [rule["ScheduleExpression"] for rule in rules if rule["State"] == "ENABLED"],
    }


def state(cloudwatch, put: str, value: str, asked: str) -> str:
    """The state of one alarm after another one was put into a state."""
    cloudwatch.set_alarm_state(AlarmName=put, StateValue=value, StateReason="a test")
    found = cloudwatch.describe_alarms(AlarmNames=[asked], AlarmTypes=["MetricAlarm", "CompositeAlarm"])
    return (found["CompositeAlarms"] + found["MetricAlarms"])[0]["StateValue"]


def release(client, endpoint: str, version: str) -> str:
    """What a newer release would have left. The template takes the way by the bucket of artifacts, since it is too long for a call."""
    cloudformation, storage = client("cloudformation"), client("s3")
    buckets = (bucket["Name"] for bucket in storage.list_buckets()["Buckets"])
    bucket = next(name for name in buckets if name.startswith("tidemark-artifacts-"))
    body = cloudformation.get_template(StackName=STACK)["TemplateBody"]
    template = body if isinstance(body, str) else json.dumps(body)
    newer = re.sub(r'("?Release"?:[^}]*?"?Value"?: )"[0-9.]+"', rf'\1"{version}"', template, count=1, flags=re.DOTALL)
    parameters = cloudformation.describe_stacks(StackName=STACK)["Stacks"][0]["Parameters"]
    storage.put_object(Bucket=bucket, Key="newer.yaml", Body=newer.encode())
    cloudformation.update_stack(
        StackName=STACK,
        TemplateURL=f"{endpoint}/{bucket}/newer.yaml",
        Capabilities=["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"],
        Parameters=[{"ParameterKey": one["ParameterKey"], "UsePreviousValue": True} for one in parameters],
    )
    cloudformation.get_waiter("stack_update_complete").wait(StackName=STACK, WaiterConfig={"Delay": 1})
    outputs = cloudformation.describe_stacks(StackName=STACK)["Stacks"][0]["Outputs"]
    return next(output["OutputValue"] for output in outputs if output["OutputKey"] == "Release")


def letters(client, event: str) -> int:
    """Dead letters of events: the mapping of an emulator writes none."""
    kinesis, queues = client("kinesis"), client("sqs")
    queue = queues.get_queue_url(QueueName="tidemark-dead-letter")["QueueUrl"]
    arn = kinesis.describe_stream_summary(StreamName=TRANSACTIONS)["StreamDescriptionSummary"]["StreamARN"]
    named = 0
    for shard in kinesis.list_shards(StreamName=TRANSACTIONS)["Shards"]:
        records = records_of_shard(kinesis, TRANSACTIONS, shard["ShardId"])
        wanted = [record for record in records if json.loads(record["Data"])["event_id"].startswith(event)]
        if not wanted:
            continue
        batch = {
            "shardId": shard["ShardId"],
            "startSequenceNumber": wanted[0]["SequenceNumber"],
            "endSequenceNumber": wanted[-1]["SequenceNumber"],
            "batchSize": len(wanted),
            "streamArn": arn,
        }
        letter = {"requestContext": {"condition": "RetryAttemptsExhausted"}, "version": "1.0", "KinesisBatchInfo": batch}
        queues.send_message(QueueUrl=queue, MessageBody=json.dumps(letter))
        named += len(wanted)
    return named


def main() -> None:
    """Ask, and print."""
    endpoint, what, *more = sys.argv[1:]

    def client(service: str):
        return boto3.client(service, endpoint_url=endpoint)

    if what == "version":
        answer = version(client)
    elif what == "outcomes":
        answer = [record["Data"].decode() for record in records_of(client("kinesis"), SCORES)]
    elif what == "state":
        answer = state(client("cloudwatch"), *more)
    elif what == "release":
        answer = release(client, endpoint, *more)
    elif what == "letters":
        answer = letters(client, *more)
    else:
        answer = alarms(client)
    print(json.dumps(answer))


if __name__ == "__main__":
    main()
