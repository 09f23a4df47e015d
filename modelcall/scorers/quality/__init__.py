"""The rule-based quality scorer: published corpus filters turned into a score from 0 to 5, with no model.

``quality(text)`` is a pure function of the text, so a score is the same on every machine and every resume. The rules
stand in :mod:`.prose` and :mod:`.code`, each with the paper that states it and its threshold.
"""

from modelcall.scorers.quality.report import QualityReport, quality
from modelcall.scorers.quality.scorer import QualityScorer

__all__ = ["QualityReport", "QualityScorer", "quality"]
