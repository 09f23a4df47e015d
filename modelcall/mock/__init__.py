"""The embedded servers, for tests, demo and users' own dry runs: chat completions on loopback, and in ``tos`` a store.

::

    process                 a server in a child process
    child, parent           the two ends of the pipe between them
    lifetime                until when, and on which event loop
    serving                 a server in this event loop, or until a signal comes
    listening, connection   sockets: accept, go down, come back; HTTP/1.1 on one of them
    server, chat, admin     who answers which request: the judge, a fault, the referee
    judge, schemas          the answer to a prompt, in the form it asks for
    faults                  what can go wrong, by name, and when
    referee                 what was asked, how often, with which key
    wire, player            replies as bytes, and the scripts that faults are made of
"""
