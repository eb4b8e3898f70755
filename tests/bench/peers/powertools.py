"""Powertools for AWS Lambda beside Tidemark, on one local AWS: what an outcome costs when a handler is made of its batch and idempotency utilities.

usage: powertools.py TIDEMARK [--events N] [--cards N] [--json]

The job is the smallest that both do: each transaction counts once, whatever was sent twice, and its card's count and sum are kept. The handler
takes Kinesis batches of 500 by the batch utility; each record goes through the idempotency utility with its own persistence layer, adds to its card's
item, and its answer goes to a stream. One event in 20 is sent twice. Both must count what a naive count of the file gives, or the
script ends with 1. Units are those that the emulator reports, Tidemark's by its function's log, which tells no calls; dollars are
DynamoDB's of us-east-1, on demand. The more events of a card share a batch, the fewer writes Tidemark makes of them; Powertools makes three of each.
"""

import argparse
import base64
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

NOW_MS = 1790812800000
BATCH_RECORDS = 500
RESENT_EVERY = 20
WRITE_USD, READ_USD = 0.625e-6, 0.125e-6
WAIT_SECONDS_MAX = "120"


def transactions(tidemark: str, events: int, cards: int) -> list:
    """Transactions of a simulated stream in its order, one in RESENT_EVERY a second time at the end."""
    made = subprocess.run(
        [tidemark, "simulate", "--events", str(events), "--cards", str(cards), "--seed", "1", "--clean"],
        check=True, capture_output=True,
    ).stdout.splitlines()
    once = [line for line in made if json.loads(line)["schema"] == "transaction"]
    return once + once[::RESENT_EVERY]


def naive(lines: list) -> dict:
    """Count and sum of each card, each event once."""
    seen, cards = set(), {}
    for line in lines:
        event = json.loads(line)
        key = (event["card_id"], event["event_id"], event["occurred_at_ms"])
        if key not in seen:
            seen.add(key)
            count, total = cards.get(event["card_id"], (0, 0))
            cards[event["card_id"]] = (count + 1, total + event["amount_minor"])
    return cards


class Meter:
    """Counts the calls of a client and the units that they consumed."""

    def __init__(self, client):
        self.calls, self.write, self.read = 0, 0.0, 0.0
        events = client.meta.events
        events.register("provide-client-params.dynamodb.*", self.ask)
        events.register("after-call.dynamodb.*", self.count)

    def ask(self, params, model, **_):
        if "ReturnConsumedCapacity" in model.input_shape.members:
            params["ReturnConsumedCapacity"] = "TOTAL"
        return params

    def count(self, parsed, model, **_):
        self.calls += 1
        units = parsed.get("ConsumedCapacity", {}).get("CapacityUnits", 0.0)
        if model.name in ("GetItem", "Query"):
            self.read += units
        else:
            # A write that its condition refuses is paid, too, and tells no units: an item of one KB.
            self.write += units or (1.0 if "Error" in parsed else 0.0)


def by_powertools(lines: list) -> dict:
    import boto3
    from aws_lambda_powertools.utilities.batch import BatchProcessor, EventType, process_partial_response
    from aws_lambda_powertools.utilities.idempotency import DynamoDBPersistenceLayer, IdempotencyConfig, idempotent_function

    dynamodb = boto3.client("dynamodb")
    for table, key in (("powertools", "id"), ("powertools-cards", "card")):
        dynamodb.create_table(
            TableName=table, BillingMode="PAY_PER_REQUEST",
            AttributeDefinitions=[{"AttributeName": key, "AttributeType": "S"}],
            KeySchema=[{"AttributeName": key, "KeyType": "HASH"}],
        )
    boto3.client("kinesis").create_stream(StreamName="powertools-scores", ShardCount=4)
    kinesis = boto3.client("kinesis")
    meter = Meter(dynamodb)
    processor = BatchProcessor(event_type=EventType.KinesisDataStreams)
    store = DynamoDBPersistenceLayer(table_name="powertools", boto3_client=dynamodb)
    config = IdempotencyConfig(event_key_jmespath="[card_id, event_id, occurred_at_ms]")
    answers = []

    @idempotent_function(data_keyword_argument="event", persistence_store=store, config=config)
    def count(event: dict) -> dict:
        item = dynamodb.update_item(
            TableName="powertools-cards",
            Key={"card": {"S": event["card_id"]}},
            UpdateExpression="ADD event_count :one, amount_sum :amount",
            ExpressionAttributeValues={":one": {"N": "1"}, ":amount": {"N": str(event["amount_minor"])}},
            ReturnValues="UPDATED_NEW",
        )["Attributes"]
        return {"event_id": event["event_id"], "events": int(item["event_count"]["N"]), "total": int(item["amount_sum"]["N"])}

    def counted(record):
        event = json.loads(base64.b64decode(record.kinesis.data))
        answers.append((event["card_id"], count(event=event)))

    class Context:
        def get_remaining_time_in_millis(self):
            return 60_000

    config.register_lambda_context(Context())
    puts = 0
    for start in range(0, len(lines), BATCH_RECORDS):
        records = [
            {
                "eventID": f"shardId-000000000000:{start + at}", "eventSource": "aws:kinesis",
                "kinesis": {
                    "partitionKey": "", "sequenceNumber": str(start + at), "approximateArrivalTimestamp": NOW_MS / 1000,
                    "data": base64.b64encode(line).decode(), "kinesisSchemaVersion": "1.0",
                },
            }
            for at, line in enumerate(lines[start : start + BATCH_RECORDS])
        ]
        response = process_partial_response({"Records": records}, counted, processor, None)
        if response["batchItemFailures"]:
            raise SystemExit(f"Powertools gave back {len(response['batchItemFailures'])} records: {processor.exceptions[:1]}")
        kinesis.put_records(
            StreamName="powertools-scores",
            Records=[{"PartitionKey": card, "Data": json.dumps(answer).encode()} for card, answer in answers],
        )
        answers.clear()
        puts += 1
    cards = {}
    for page in dynamodb.get_paginator("scan").paginate(TableName="powertools-cards"):
        for item in page["Items"]:
            cards[item["card"]["S"]] = (int(item["event_count"]["N"]), int(item["amount_sum"]["N"]))
    return {
        "cards": cards, "calls": meter.calls + puts, "write_units": meter.write, "read_units": meter.read
    }


def by_tidemark(tidemark: str, lines: list, up: dict) -> dict:
    import boto3

    subprocess.run([tidemark, "send"], input=b"\n".join(lines) + b"\n", check=True, capture_output=True)
    audit = [tidemark, "audit", "--settle", WAIT_SECONDS_MAX]
    held = subprocess.run(audit, capture_output=True, text=True)
    if held.returncode != 0:
        raise SystemExit(f"the audit says: {held.stdout}{held.stderr}")
    kinesis = boto3.client("kinesis")
    amounts = {(e["card_id"], e["event_id"], e["occurred_at_ms"]): e["amount_minor"] for e in map(json.loads, lines)}
    scored = set()
    for shard in kinesis.list_shards(StreamName=up["scores_stream"])["Shards"]:
        at = kinesis.get_shard_iterator(
            StreamName=up["scores_stream"], ShardId=shard["ShardId"], ShardIteratorType="TRIM_HORIZON"
        )["ShardIterator"]
        while True:
            page = read_patiently(kinesis, at)
            for outcome in map(json.loads, (record["Data"] for record in page["Records"])):
                scored.add((outcome["card_id"], outcome["event_id"], outcome["occurred_at_ms"]))
            if page["MillisBehindLatest"] == 0 and not page["Records"]:
                break
            at = page["NextShardIterator"]
    cards = {}
    for key in scored:
        count, total = cards.get(key[0], (0, 0))
        cards[key[0]] = (count + 1, total + amounts[key])
    sums = {}
    for line in Path(up["function_log"]).read_text().splitlines():
        try:
            metrics = json.loads(line)
        except ValueError:
            continue
        if isinstance(metrics, dict) and "_aws" in metrics:
            for name, value in metrics.items():
                if isinstance(value, (int, float)):
                    sums[name] = sums.get(name, 0) + value
    return {
        "cards": cards, "calls": None, "write_units": sums.get("WriteUnits", 0.0), "read_units": sums.get("ReadUnits", 0.0)
    }


def read_patiently(kinesis, at: str) -> dict:
    """A page; a shard gives five in a second, to all readers together."""
    while True:
        try:
            return kinesis.get_records(ShardIterator=at)
        except kinesis.exceptions.ProvisionedThroughputExceededException:
            time.sleep(0.2)


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("tidemark")
    arguments.add_argument("--events", type=int, default=2_000)
    arguments.add_argument("--cards", type=int, help="how many cards [default: as many as events]")
    arguments.add_argument("--json", action="store_true")
    given = arguments.parse_args()
    lines = transactions(given.tidemark, given.events, given.cards or given.events)
    expected = naive(lines)
    outcomes = sum(count for count, _ in expected.values())
    with tempfile.TemporaryDirectory() as folder:
        local = subprocess.Popen(
            [given.tidemark, "local", "up", "--json", "--no-aws-limits", "--data-dir", folder], stdout=subprocess.PIPE, text=True
        )
        try:
            up = json.loads(local.stdout.readline())
            os.environ.update(
                AWS_ENDPOINT_URL=up["endpoint"], AWS_REGION=up["region"], AWS_DEFAULT_REGION=up["region"],
                AWS_ACCESS_KEY_ID="test", AWS_SECRET_ACCESS_KEY="test", POWERTOOLS_TRACE_DISABLED="1",
            )
            peers = {"Powertools": by_powertools(lines), "Tidemark": by_tidemark(given.tidemark, lines, up)}
        finally:
            local.terminate()
            local.wait()
    report = {"events": len(lines), "outcomes": outcomes, "cards": len(expected), "peers": {}}
    for name, peer in peers.items():
        usd = peer["write_units"] * WRITE_USD + peer["read_units"] * READ_USD
        report["peers"][name] = {
            "equal": peer["cards"] == expected,
            "calls_an_outcome": peer["calls"] and peer["calls"] / outcomes,
            "write_units_an_outcome": peer["write_units"] / outcomes,
            "read_units_an_outcome": peer["read_units"] / outcomes,
            "table_usd_a_million": usd / outcomes * 1e6,
        }
    if given.json:
        print(json.dumps(report))
    else:
        print(f"{report['events']} events, {outcomes} of them different ones, {report['cards']} cards\n")
        print("| | counts and sums | calls an outcome | write units | read units | table, dollars a million |\n|---|---|---:|---:|---:|---:|")
        for name, peer in report["peers"].items():
            calls = "not told" if peer["calls_an_outcome"] is None else f"{peer['calls_an_outcome']:.2f}"
            print(
                f"| {name} | {'equal' if peer['equal'] else 'DIFFER'} | {calls} | {peer['write_units_an_outcome']:.2f} | "
                f"{peer['read_units_an_outcome']:.2f} | {peer['table_usd_a_million']:.2f} |"
            )
    return 0 if all(peer["equal"] for peer in report["peers"].values()) else 1


if __name__ == "__main__":
    sys.exit(main())
