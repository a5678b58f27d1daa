"""
The article's server, written anew from its description: a dictionary, a thread for each connection, one byte with
each recv until the line is complete, expiry when somebody asks. `python3 article.py PORT`.

Its text gives the requests and this reading loop; the replies are not in it, so their form is ours.
"""

import json
import socket
import sys
import threading
import time

services = {}


def read_record(client):
    data = b""
    while True:
        byte = client.recv(1)
        if not byte:
            return None
        data += byte
        if data.endswith(b"\r\n"):
            break
    return data[: len(data) - 2]


def register(message):
    if "values" not in message:
        return {"code": 1, "msg": "no values"}
    services[message["key"]] = {
        "value": message["values"],
        "timeout": float(message.get("timeout", 30)),
        "lastUpdateTime": time.time(),
    }
    return {"code": 0, "msg": "ok"}


def destroy(message):
    services.pop(message["key"], None)
    return {"code": 0, "msg": "ok"}


def query(message):
    key = message["key"]
    names = list(services) if key == "all" else [key]
    data = {}
    for name in names:
        service = services.get(name)
        if service is None:
            continue
        if time.time() - service["lastUpdateTime"] > service["timeout"]:
            services.pop(name, None)
        else:
            data[name] = service["value"]
    return {"code": 0, "msg": "ok", "data": data}


COMMANDS = {"register": register, "destruction": destroy, "query": query}


def answer(record):
    try:
        message = json.loads(record)
    except ValueError:
        return {"code": 1, "msg": "not JSON"}
    if "type" not in message or "key" not in message or message["type"] not in COMMANDS:
        return {"code": 1, "msg": "not a request"}
    return COMMANDS[message["type"]](message)


def serve(client):
    with client:
        while True:
            record = read_record(client)
            if record is None:
                return
            client.sendall(json.dumps(answer(record)).encode() + b"\r\n")


def main():
    server = socket.socket()
    server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    server.bind(("127.0.0.1", int(sys.argv[1])))
    server.listen(128)
    while True:
        client, _ = server.accept()
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        threading.Thread(target=serve, args=(client,), daemon=True).start()


main()
