"""The embedded server: chat completions on loopback, for tests, demo and users' own dry runs.

::

    process      a server in a child process      serving    a server in this event loop, or until a signal
    server       routes, limits, latency          connection HTTP/1.1 on one socket
    faults       what can go wrong, by name       referee    what was asked, how often, with which key
    judge        the answer to a prompt           schemas    an answer for any JSON schema
    wire         replies as bytes, and the scripts that faults are made of
"""
