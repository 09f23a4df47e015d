"""A local TOS: the object store that the official SDK talks to, over real HTTP, with signatures and faults.

::

    thread, process         a server in a thread of this process, or in a child process
    serving, server         the event loop and its socket; what happens to one request, in order
    call                    a request, understood: bucket, key, query, operation
    signature               TOS4-HMAC-SHA256, in headers or in the query
    operations              the table of operations, by method, level and query
    objects, multipart, listing    the operations on single objects, uploads and names
    store                   buckets of versions; every change is one step under one lock
    blobs, checksum         bytes on the disk, and their digests
    loading                 files as objects, at the start
    body                    bodies in and out, in pieces
    faults, plan, strike    what can go wrong, when, and how it is done
    log, control            what was asked, and the unsigned requests that tests steer with
    replies                 answers and refusals in the form that the SDK reads

A version is never changed: readers of a replaced object go on reading the old bytes.
"""
