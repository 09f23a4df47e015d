"""The report on a run: one HTML file that needs nothing else, and a Markdown card.

What was published is read once as a stream (:mod:`~modelcall.report.gathering`), a few rows are read again for their
text (:mod:`~modelcall.report.samples`), batch details become a time line (:mod:`~modelcall.report.timeline`); all of it
in memory that the number of rows does not change. The page is built as a tree of elements, never as text
(:mod:`~modelcall.report.page.elements`): nothing that a row, a name or an error holds can become markup. It has no
script, and its policy allows nothing but its own style.
"""
