"""Runs the command's verbs against a local AWS through a proxy that writes down what each calls.

usage: operator_calls.py TIDEMARK ENDPOINT < a JSON list of cases
a case: {"verb": name, "arguments": [...], "exits": [code, ...], "files": {name: text}, "letter": text, "object": {"path": path, "text": text}},
of which the last four may be missing: with which codes the command may end (0), files to write before, a message to put into the dead-letter
queue before, and an object to put into the bucket
stdout: {verb: [IAM action, ...]}

The commands run in a folder of their own. A local AWS has no Step Functions: the proxy has the deployment's state machine, as
infra/template.yaml writes it, and calls the redrive function in its place.
"""

import json
import os
import re
import subprocess
import sys
import tempfile
import threading
import urllib.error
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

# What is signed, and what the connection is about, is the client's own affair.
NOT_PASSED_ON = {"host", "connection", "transfer-encoding", "content-length"}
SERVICES = {"DynamoDB_20120810": "dynamodb", "Kinesis_20131202": "kinesis", "AmazonSQS": "sqs", "AWSStepFunctions": "states"}
# What a call needs where it is not named like its permission.
PERMISSIONS = {
    "dynamodb:TransactWriteItems": "dynamodb:PutItem",
    "sqs:ChangeMessageVisibilityBatch": "sqs:ChangeMessageVisibility",
    "sqs:DeleteMessageBatch": "sqs:DeleteMessage",
    "sqs:SendMessageBatch": "sqs:SendMessage",
}
# S3 has the bucket in its path. Listing one, or asking whether it is there, is one permission.
S3 = [
    ("GET", r"/[^/]+/?", "s3:ListBucket"),
    ("GET", r"/[^/]+/.+", "s3:GetObject"),
]
LAMBDA = [
    ("POST", r"/2015-03-31/functions/[^/]+/invocations", "lambda:InvokeFunction"),
    ("GET", r"/2015-03-31/event-source-mappings/?", "lambda:ListEventSourceMappings"),
    ("PUT", r"/2015-03-31/event-source-mappings/[^/]+", "lambda:UpdateEventSourceMapping"),
    ("GET", r"/2015-03-31/event-source-mappings/[^/]+", "lambda:GetEventSourceMapping"),
]


def action(method: str, path: str, headers, body: bytes) -> str:
    """The IAM action of a request."""
    target = headers.get("x-amz-target")
    if target:
        service, operation = target.split(".", 1)
        if operation == "TransactWriteItems" and any(set(one) != {"Put"} for one in json.loads(body)["TransactItems"]):
            raise SystemExit(f"a transaction of more than puts: which permissions does it need? {body!r}")
        called = f"{SERVICES[service]}:{operation}"
        return PERMISSIONS.get(called, called)
    if body.startswith(b"Action=GetCallerIdentity"):
        return "sts:GetCallerIdentity"
    signed_for_s3 = "/s3/aws4_request" in (headers.get("authorization") or "")
    for known_method, pattern, name in S3 if signed_for_s3 else LAMBDA:
        if method == known_method and re.fullmatch(pattern, path.split("?")[0]):
            return name
    raise SystemExit(f"{method} {path}: which action is this?")


def machine(endpoint: str, operation: str, body: bytes, executions: dict) -> dict:
    """What the state machine answers; it takes the chains of an execution to their end at once."""
    asked = json.loads(body)
    if operation == "DescribeExecution":
        # Under way at the first look, so that it is asked how far its map is.
        items, looks = executions[asked["executionArn"]]
        looks.append(operation)
        return {"status": "SUCCEEDED", "output": json.dumps(items)} if len(looks) > 1 else {"status": "RUNNING"}
    if operation == "ListMapRuns":
        run = asked["executionArn"].replace(":execution:", ":mapRun:").replace("-redrive:", "-redrive/Chains:")
        return {"mapRuns": [{"executionArn": asked["executionArn"], "mapRunArn": run}]}
    if operation == "DescribeMapRun":
        assert ":mapRun:tidemark-redrive/Chains:" in asked["mapRunArn"], asked
        return {"status": "RUNNING", "itemCounts": {"total": 1, "running": 1, "succeeded": 0, "failed": 0}}
    assert asked["stateMachineArn"].endswith(":stateMachine:tidemark-redrive"), asked
    given = json.loads(asked["input"])
    assert set(given) == {"parallel", "chains"} and given["parallel"] > 0, given
    items = []
    for chain in given["chains"]:
        while chain["next"] in ("call", "wait"):
            url = f"{endpoint}/2015-03-31/functions/tidemark-redrive/invocations"
            request = urllib.request.Request(url, json.dumps({"chain": chain}).encode())
            chain = json.loads(urllib.request.urlopen(request, timeout=900).read())["chain"]
        items.append({"chain": chain})
    arn = asked["stateMachineArn"].replace(":stateMachine:", ":execution:") + ":" + asked["name"]
    executions[arn] = (items, [])
    return {"executionArn": arn, "startDate": 0}


def proxy(endpoint: str, called: set) -> ThreadingHTTPServer:
    """A server that passes each request on to the endpoint and writes its action down."""
    executions = {}

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def pass_on(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            called.add(action(self.command, self.path, self.headers, body))
            target = self.headers.get("x-amz-target", "")
            if target.startswith("AWSStepFunctions."):
                self.answer(200, json.dumps(machine(endpoint, target.split(".")[1], body, executions)).encode())
                return
            headers = {name: value for name, value in self.headers.items() if name.lower() not in NOT_PASSED_ON}
            data = body if self.command in ("POST", "PUT") else None
            request = urllib.request.Request(endpoint + self.path, data, headers, method=self.command)
            try:
                with urllib.request.urlopen(request, timeout=900) as answer:
                    status, kept, content = answer.status, answer.headers, answer.read()
            except urllib.error.HTTPError as error:
                status, kept, content = error.code, error.headers, error.read()
            self.send_response(status)
            for name, value in kept.items():
                if name.lower() not in NOT_PASSED_ON:
                    self.send_header(name, value)
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def answer(self, status: int, content: bytes) -> None:
            self.send_response(status)
            self.send_header("content-type", "application/x-amz-json-1.0")
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = do_PUT = do_DELETE = pass_on

        def log_message(self, *_) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


def send_letter(endpoint: str, letter: str) -> None:
    """Puts a message into the dead-letter queue, as the mapping would."""
    url = f"{endpoint}/000000000000/tidemark-dead-letter"
    headers = {"x-amz-target": "AmazonSQS.SendMessage", "content-type": "application/x-amz-json-1.0"}
    body = json.dumps({"QueueUrl": url, "MessageBody": letter}).encode()
    urllib.request.urlopen(urllib.request.Request(endpoint, body, headers), timeout=60).read()


def put_object(endpoint: str, path: str, text: str) -> None:
    """Puts an object into a bucket, as the mapping would."""
    headers = {"authorization": "AWS4-HMAC-SHA256 Credential=test/20200101/eu-west-1/s3/aws4_request, SignedHeaders=host, Signature=0"}
    urllib.request.urlopen(urllib.request.Request(endpoint + path, text.encode(), headers, method="PUT"), timeout=60).read()


def main() -> None:
    """Run each case, note its calls."""
    tidemark, endpoint = sys.argv[1:3]
    calls = {}
    with tempfile.TemporaryDirectory() as folder:
        for case in json.load(sys.stdin):
            for name, text in case.get("files", {}).items():
                with open(os.path.join(folder, name), "w", encoding="utf-8") as file:
                    file.write(text)
            if "letter" in case:
                send_letter(endpoint, case["letter"])
            if "object" in case:
                put_object(endpoint, case["object"]["path"], case["object"]["text"])
            called = set()
            server = proxy(endpoint, called)
            environment = {
                "PATH": os.environ["PATH"],
                "HOME": folder,
                "USER": "operator",
                "AWS_ENDPOINT_URL": f"http://127.0.0.1:{server.server_address[1]}",
                "AWS_REGION": "eu-west-1",
                "AWS_ACCESS_KEY_ID": "test",
                "AWS_SECRET_ACCESS_KEY": "test",
            }
            run = subprocess.run(
                [tidemark, *case["arguments"]], env=environment, cwd=folder, capture_output=True, text=True, timeout=300, check=False
            )
            server.shutdown()
            server.server_close()
            if run.returncode not in case.get("exits", [0]):
                said = f"{run.stdout[-2000:]}\n{run.stderr[-2000:]}"
                raise SystemExit(f"tidemark {' '.join(case['arguments'])} ended with {run.returncode}\n{said}")
            calls[case["verb"]] = sorted(set(calls.get(case["verb"], [])) | called)
    json.dump(calls, sys.stdout)


if __name__ == "__main__":
    main()
