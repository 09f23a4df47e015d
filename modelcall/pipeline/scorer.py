"""What users import to write a scorer: ``from modelcall.pipeline.scorer import Scorer``."""

from modelcall.types import Row, Scorer

__all__ = ["Row", "Scorer"]
