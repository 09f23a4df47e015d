"""The log: one logger named ``modelcall``, one catalogue of messages in Chinese and English, one sink.

:func:`say` is for anybody, anywhere; what is said is rendered at the sink, in the sink's language, with secrets masked,
control characters escaped, and warnings of one cause counted instead of repeated. Nothing is ever written to stdout.
"""

from modelcall.log.catalogue import Language, Message, Said
from modelcall.log.setup import LogSettings, OpenLog, file_stem, job_suffix, log_path, setup
from modelcall.log.speaking import LOGGER, is_said, say

__all__ = [
    "LOGGER",
    "Language",
    "LogSettings",
    "Message",
    "OpenLog",
    "Said",
    "file_stem",
    "is_said",
    "job_suffix",
    "log_path",
    "say",
    "setup",
]
