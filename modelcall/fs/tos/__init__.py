"""Volcengine TOS, through its official SDK.

Objects are read in ranges pinned to one etag, written by one PutObject or a multipart upload whose completion is the
commit, and created exclusively by ``forbid_overwrite``. Listings serve for input and for cleaning up, not for truth.
"""
