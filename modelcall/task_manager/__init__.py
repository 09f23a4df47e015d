"""The composition root: a validated task becomes a run, and the run a summary.

Concrete classes are named as registry strings, so that a run imports what it uses and no more.
"""
