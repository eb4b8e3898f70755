"""What the test of an upgrade under load asks an emulator, beside the command's own verbs.

usage: upgraded.py ENDPOINT version   the score function's alias: its version, and the digest of that version's code
       upgraded.py ENDPOINT outcomes  every outcome that was sent, one text each
       upgraded.py ENDPOINT alarms    the alarms that are there, and the rules of EventBridge that are on
stdout: one JSON value.
"""

import json
import sys

import boto3

READ_PAGES_MAX = 500
SCORES = "tidemark-scores"


def records_of(kinesis, stream: str):
    """Every record of a stream."""
    for shard in kinesis.list_shards(StreamName=stream)["Shards"]:
        iterator = kinesis.get_shard_iterator(
            StreamName=stream, ShardId=shard["ShardId"], ShardIteratorType="TRIM_HORIZON"
        )["ShardIterator"]
        for _ in range(READ_PAGES_MAX):
            page = kinesis.get_records(ShardIterator=iterator, Limit=10_000)
            yield from page["Records"]
            iterator = page.get("NextShardIterator")
            if not page["Records"] or not iterator:
                break


def version(client) -> dict:
    """What the mapping invokes."""
    functions = client("lambda")
    alias = functions.get_alias(FunctionName="tidemark-score", Name="live")["FunctionVersion"]
    code = functions.get_function(FunctionName="tidemark-score", Qualifier=alias)["Configuration"]
    return {"version": alias, "digest": code["CodeSha256"], "memory": code["MemorySize"]}


def alarms(client) -> dict:
    """Their names."""
    pages = client("cloudwatch").get_paginator("describe_alarms").paginate()
    rules = client("events").list_rules()["Rules"]
    return {
        "alarms": sorted(alarm["AlarmName"] for page in pages for alarm in page["MetricAlarms"]),
        "rules": [rule["ScheduleExpression"] for rule in rules if rule["State"] == "ENABLED"],
    }


def main() -> None:
    """Ask, and print."""
    endpoint, what = sys.argv[1:]

    def client(service: str):
        return boto3.client(service, endpoint_url=endpoint)

    if what == "version":
        answer = version(client)
    elif what == "outcomes":
        answer = [record["Data"].decode() for record in records_of(client("kinesis"), SCORES)]
    else:
        answer = alarms(client)
    print(json.dumps(answer))


if __name__ == "__main__":
    main()
