"""What real endpoints, gateways and proxies were seen to do, playable by name.

``FAULTS`` (:mod:`.catalogue`) is the table; :mod:`.rules` says when a fault strikes, :mod:`.plan` draws it.
"""
