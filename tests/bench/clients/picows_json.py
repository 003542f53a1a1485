"""JSON lines with `picows` (Cython) and `json`, as its documentation shows.

picows_json.py URL COUNT
"""

import asyncio
import json
import sys

from picows import WSCloseCode, WSListener, WSMsgType, ws_connect

url, count = sys.argv[1], int(sys.argv[2])


class Quotes(WSListener):
    seen = 0

    def on_ws_connected(self, transport):
        transport.send(WSMsgType.TEXT, b'{"action":"auth","key":"demo"}')

    def on_ws_frame(self, transport, frame):
        if frame.msg_type != WSMsgType.TEXT:
            return
        data = json.loads(frame.get_payload_as_bytes())
        if data["type"] == "quote":
            print(json.dumps(data["data"]))
            self.seen += 1
            if self.seen == count:
                transport.send_close(WSCloseCode.OK)
                transport.disconnect()
        elif data["type"] == "authenticated":
            transport.send(WSMsgType.TEXT, b'{"action":"subscribe","symbols":["EURUSD","XAUUSD"]}')


async def main():
    transport, quotes = await ws_connect(Quotes, url)
    await transport.wait_disconnected()
    return quotes.seen == count


sys.exit(0 if asyncio.run(main()) else 1)
