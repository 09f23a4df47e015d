"""The embedded server: chat completions on loopback, for tests, demo and users' own dry runs.

::

    process                 a server in a child process
    serving                 a server in this event loop, or until a signal comes
    listening, connection   sockets: accept, go down, come back; HTTP/1.1 on one of them
    server, chat, admin     who answers which request: the judge, a fault, the referee
    judge, schemas          the answer to a prompt, in the form it asks for
    faults                  what can go wrong, by name, and when
    referee                 what was asked, how often, with which key
    wire, player            replies as bytes, and the scripts that faults are made of
"""
