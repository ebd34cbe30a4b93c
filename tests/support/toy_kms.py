"""A program that keeps a master key, for tests: as the documentation describes one.

    python toy_kms.py <folder> <mode>

`folder/key` is the key, `folder/calls` counts requests. Modes are ways to behave badly.
"""

import base64
import hashlib
import hmac
import json
import os
import sys
import time
from pathlib import Path

folder, mode = Path(sys.argv[1]), sys.argv[2]
request = json.loads(sys.stdin.readline())
with (folder / "calls").open("a") as calls:
    calls.write(json.dumps(request) + "\n")
(folder / "pid").write_text(str(os.getpid()))
if any(name.startswith("ROOST_") for name in os.environ):
    sys.exit("got an environment that is none of its business")
if mode == "fails":
    sys.exit(3)
if mode == "hangs":
    time.sleep(600)
if mode == "closes-and-hangs":
    os.close(1)
    time.sleep(600)
if mode == "floods":
    while True:
        sys.stdout.write("x" * 65536)
if mode == "babbles":
    sys.exit(print("hello"))
if mode == "lists":
    sys.exit(print("[]"))
if mode == "no-data":
    sys.exit(print("{}"))
if mode == "not-base64":
    sys.exit(print('{"data": "!"}'))
if mode == "refuses":
    sys.exit(print('{"refused": true}'))

key = (folder / "key").read_bytes()
data = base64.b64decode(request["data"])
context = request["context"].encode()
if mode == "plain":
    result = data
elif request["operation"] == "wrap":
    nonce = os.urandom(32)
    stream = hashlib.sha256(key + nonce).digest()
    hidden = bytes(a ^ b for a, b in zip(data, stream, strict=True))
    tag = hmac.digest(key, nonce + hidden + context, "sha256")
    result = nonce + hidden + tag
else:
    nonce, hidden, tag = data[:32], data[32:64], data[64:]
    if not hmac.compare_digest(tag, hmac.digest(key, nonce + hidden + context, "sha256")):
        sys.exit(print('{"refused": true}'))
    stream = hashlib.sha256(key + nonce).digest()
    result = bytes(a ^ b for a, b in zip(hidden, stream, strict=True))
    if mode == "forgets":
        result = os.urandom(32)
print(json.dumps({"data": base64.b64encode(result).decode()}))
