"""The floor in Python: reads the bytes, and does nothing with them.

floor.py URL [--copy] [--ca-file PEM]     --copy: write them to stdout as they are, frame headers included
"""

import os
import socket
import ssl
import sys
from urllib.parse import urlsplit

url = urlsplit(sys.argv[1])
sock = socket.create_connection((url.hostname, url.port))
sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
if url.scheme == "wss":
    sock = ssl.create_default_context(cafile=sys.argv[sys.argv.index("--ca-file") + 1]).wrap_socket(
        sock, server_hostname=url.hostname
    )


def say(text):
    """A text frame with a mask of zeros."""
    sock.sendall(bytes((0x81, 0x80 | len(text))) + b"\0\0\0\0" + text)


sock.sendall(
    f"GET {url.path}?{url.query} HTTP/1.1\r\nHost: {url.netloc}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n".encode()
)
sock.recv(4096)
say(b'{"action":"auth","key":"demo"}')
sock.recv(4096)
say(b'{"action":"subscribe","symbols":["EURUSD","XAUUSD"]}')
copy = "--copy" in sys.argv
while chunk := sock.recv(65536):
    if copy:
        os.write(1, chunk)
