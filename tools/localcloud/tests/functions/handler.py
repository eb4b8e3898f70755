#!/usr/bin/env python3
"""A function that speaks the Runtime API and does what its payload's "do" says."""
import json
import os
import sys
import time
import urllib.error
import urllib.request

BASE = f"http://{os.environ['AWS_LAMBDA_RUNTIME_API']}/2018-06-01/runtime"


def post(path, body):
    try:
        urllib.request.urlopen(urllib.request.Request(f"{BASE}/{path}", data=body, method="POST")).read()
    except urllib.error.HTTPError as error:
        print(f"answer refused: {error.code}", flush=True)


def handle(request_id, payload, headers):
    do = payload.get("do")
    if do == "environment":
        names = ["AWS_LAMBDA_FUNCTION_NAME", "AWS_REGION", "AWS_ACCESS_KEY_ID", "MINE", "HOME"]
        answer = {name: os.environ.get(name) for name in names}
        answer["headers"] = {name.lower(): value for name, value in headers.items()}
        answer["now_ms"] = int(time.time() * 1000)
        return answer
    if do == "pid":
        time.sleep(payload.get("ms", 0) / 1000)
        return {"pid": os.getpid()}
    if do == "sleep":
        time.sleep(payload["ms"] / 1000)
        open(payload["then_write"], "w").close()
        return None
    if do == "crash":
        sys.exit(3)
    if do == "large":
        return "x" * payload["bytes"]
    if do == "fail":
        body = {"errorType": "Broken", "errorMessage": "as asked"}
        post(f"invocation/{request_id}/error", json.dumps(body).encode())
        return NotImplemented
    print(json.dumps({"log": "a line"}), flush=True)
    return payload


if os.environ.get("FAIL_INIT"):
    post("init/error", json.dumps({"errorType": "NoPolicy", "errorMessage": "no such file"}).encode())
    sys.exit(1)

while True:
    with urllib.request.urlopen(f"{BASE}/invocation/next") as invocation:
        request_id = invocation.headers["Lambda-Runtime-Aws-Request-Id"]
        answer = handle(request_id, json.load(invocation), invocation.headers)
    if answer is not NotImplemented:
        post(f"invocation/{request_id}/response", json.dumps(answer).encode())
