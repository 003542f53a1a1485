"""JSON lines with `websockets` and `json`, as its documentation shows.

websockets_json.py URL COUNT
"""

import asyncio
import json
import sys

from websockets.asyncio.client import connect


async def main(url, count):
    async with connect(url) as ws:
        await ws.send(json.dumps({"action": "auth", "key": "demo"}))
        seen = 0
        async for message in ws:
            data = json.loads(message)
            if data["type"] == "quote":
                print(json.dumps(data["data"]))
                seen += 1
                if seen == count:
                    break
            elif data["type"] == "authenticated":
                await ws.send(json.dumps({"action": "subscribe", "symbols": ["EURUSD", "XAUUSD"]}))
    return seen == count


sys.exit(0 if asyncio.run(main(sys.argv[1], int(sys.argv[2]))) else 1)
