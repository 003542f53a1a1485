"""The usual script for Coinbase: a callback for each message, a line for each trade or each change of a book.

usual_coinbase.py URL COUNT CHANNEL [--keep]     CHANNEL is matches or level2_batch

With --keep the book is kept, and each message prints the best of both sides.
"""

import json
import sys

import websocket

url, count, channel, keep = sys.argv[1], int(sys.argv[2]), sys.argv[3], "--keep" in sys.argv
seen = 0
book = {"buy": {}, "sell": {}}


def on_open(ws):
    ws.send(json.dumps({"type": "subscribe", "product_ids": ["BTC-USD"], "channels": [channel, "heartbeat"]}))


def on_message(ws, message):
    global seen  # noqa: PLW0603 - a script as people write it
    data = json.loads(message)
    if data["type"] == "match":
        print(data["product_id"], data["time"], data["side"], data["price"], data["size"], data["trade_id"])
    elif data["type"] == "l2update" and keep:
        for side, price, size in data["changes"]:
            if float(size) == 0:
                book[side].pop(float(price), None)
            else:
                book[side][float(price)] = float(size)
        print(data["product_id"], data["time"], max(book["buy"]), min(book["sell"]))
    elif data["type"] == "l2update":
        for side, price, size in data["changes"]:
            print(data["product_id"], data["time"], side, price, size)
    elif data["type"] == "snapshot":
        book["buy"] = {float(price): float(size) for price, size in data["bids"]}
        book["sell"] = {float(price): float(size) for price, size in data["asks"]}
        print(data["product_id"], len(data["bids"]), len(data["asks"]))
    else:
        return
    seen += 1
    if seen == count:
        ws.close()


websocket.WebSocketApp(url, on_open=on_open, on_message=on_message).run_forever()
sys.exit(0 if seen == count else 1)
