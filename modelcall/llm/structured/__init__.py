"""From a completion's text to validated column values: strict, never repairing, never inventing.

::

    text.py     text  -> the one JSON object that is the answer     (think blocks, fences and prose are understood)
    strict.py   JSON  -> dict, exactly or not at all                (duplicate keys, big numbers, depth)
    coerce.py   value -> a column's type
    schema.py   object against the user's json_schema
    check.py    reply -> values, or what was wrong and what the next attempt is told
    mode.py     what the server is asked to enforce
"""
