"""File formats: bytes to rows and Arrow batches, and back.

A format is a :class:`~modelcall.formats.base.Source` to read it, known by the suffix of a name in ``detect``, made in
``opening``, and, if it is written too, a :class:`~modelcall.formats.base.TableWriter`. What the pipeline relies on of a
source is told by the tests of :class:`~modelcall.formats.contract.SourceContract`, which every format passes.
"""
