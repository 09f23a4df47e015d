"""ModelCall: an LLM judge over a corpus; every row in, every row out, with a validated score or a reason.

The layers, from the top; imports go down only, and a check reads that::

    cli                             the Typer app; the only place that prints, exits, or touches Rich
    task_manager                    a validated task -> preprocessor -> pipeline -> summary
    observe                         what a run shows while it runs
    engines                         where jobs run: picklable jobs in, results out
    pipeline | mock                 the life of a file and of a row | the embedded servers
    scorers                         what scores a row
    state                           what a run remembers: run record, ledger, journal, lock
    fs | formats | llm | config     storage | bytes to Arrow | the endpoint | what users write
    registry | log | permits
    errors
    types                           values and protocols; no third-party import

A row's journey: the pipeline streams a file, takes a request permit, hands the row to a scorer, and records the
outcome in the journal. When the last row of a file is recorded, the file is published: input columns untouched,
result columns beside them, in order, under the final name at once or not at all.
"""

__version__ = "0.1.0"
