"""A client of Redis that knows nothing of Larder but what docs/shared-tier.md says, with Python's standard library alone.

outside.py PORT PREFIX tag|entry|function|everything TEXT   runs the script of the file that LARDER_SCRIPT names
outside.py PORT PREFIX publish TAG                          asks whoever listens, in JSON
"""

import json
import os
import socket
import sys
import uuid


def command(port, *words):
    words = [word.encode() if isinstance(word, str) else word for word in words]
    request = b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(word), word) for word in words)
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall(request)
        reply = connection.makefile("rb").readline().rstrip(b"\r\n").decode()
    if reply.startswith("-"):
        sys.exit(reply)
    return reply.lstrip(":")


def name(prefix, what, text):
    letter = {"entry": "e", "tag": "t", "function": "f", "everything": "a"}[what]
    if text == "" or text.startswith("}"):
        return f"{prefix}:{letter}-:{{-{text}}}"
    return f"{prefix}:{letter}:{{{text}}}"


port, prefix, what, text = int(sys.argv[1]), *sys.argv[2:]
if what == "publish":
    print(command(port, "PUBLISH", f"{prefix}:invalidate", json.dumps({"tags": [text]})))
else:
    with open(os.environ["LARDER_SCRIPT"], encoding="utf-8") as script:
        print(command(port, "EVAL", script.read(), "1", name(prefix, what, text), str(uuid.uuid4())))
