"""The usual script: the client of a provider's guide, with a callback for each message.

usual.py URL COUNT [--json]     prints one line for each quote; with --json the quote as JSON
"""

import json
import sys

import websocket

url, count, as_json = sys.argv[1], int(sys.argv[2]), "--json" in sys.argv
seen = 0


def on_open(ws):
    ws.send(json.dumps({"action": "auth", "key": "demo"}))


def on_message(ws, message):
    global seen  # noqa: PLW0603 - a script as people write it
    data = json.loads(message)
    if data["type"] == "quote":
        quote = data["data"]
        if as_json:
            print(json.dumps(quote))
        else:
            print(quote["symbol"], quote["time"], quote["bid"], quote["ask"], quote["volume"])
        seen += 1
        if seen == count:
            ws.close()
    elif data["type"] == "authenticated":
        ws.send(json.dumps({"action": "subscribe", "symbols": ["EURUSD", "XAUUSD"]}))


websocket.WebSocketApp(url, on_open=on_open, on_message=on_message).run_forever()
sys.exit(0 if seen == count else 1)
