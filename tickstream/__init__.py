"""tickstream: live market data from any provider's WebSocket, in one schema, without losing anything silently."""

__version__ = "0.1.0"
