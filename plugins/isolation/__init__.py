"""Connectors in child processes: what runs there can crash, hang, flood or leak, and nothing here notices.

The host (`host.py`) has a zygote (`zygote.py`), a process without secrets that has imported what every child needs.
For each call it forks a child, which shuts itself in (`sandbox.py`), does that call (`serving.py`), and ends. Both
speak over a pair of sockets in frames of msgpack (`wire.py`); a child that asks for a web page is answered by the host.
"""
