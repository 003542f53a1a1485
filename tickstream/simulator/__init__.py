"""A local server that speaks a provider's protocol: to try the tool, to test pipelines, and for our own tests.

`server.Simulator` is the whole of it; everything below it is pure but `connection`, `journal` and `certificate`.
"""
