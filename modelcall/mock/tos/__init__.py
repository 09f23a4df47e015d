"""A local TOS: the object store that the official SDK talks to, over real HTTP, with signatures and faults.

::

    thread, process, reach   a server in a thread of this process, or in a child process; how clients get there
    serving, server          the event loop and its socket; what happens to one request, in order
    options, loading         what a user may choose; files as objects at the start
    call, exchange           a request, understood; what an operation has at hand
    signature                TOS4-HMAC-SHA256, in headers or in the query
    operations               the table of operations, by method, level and query
    objects, multipart, listing, buckets    the operations themselves
    ranges, replies, times   what readers ask for; answers and refusals in the form that the SDK reads
    store, uploads           buckets of versions, and parts on their way; every change is one step under one lock
    blobs, checksum          bytes on the disk, and their digests
    body                     bodies in and out, in pieces
    kinds, faults, plan, strike    what can go wrong, as users write it, when it strikes, and how it is done
    log, control             what was asked, and the unsigned requests that tests steer with

A version is never changed: readers of a replaced object go on reading the old bytes.
"""
