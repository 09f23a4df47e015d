"""Natural-language text: what is measured, and the rules of Gopher, C4 and FineWeb over it.

Chinese and Japanese write no spaces: there each character counts as a word, a line is short at half the length, and
stop words and punctuation are their own. Rules that only make sense in English ask for a Latin script.
"""

# ruff: noqa: PLR2004  a threshold stands in its rule, beside its source
from __future__ import annotations

import re
from dataclasses import dataclass

from modelcall.scorers.quality.repetition import Duplicates, duplicates, repeated_grams
from modelcall.scorers.quality.rule import C4, FINEWEB, GOPHER, GOPHER_REPETITION, OWN, STARCODER2, Merit, Rule
from modelcall.scorers.quality.texture import Encoded, encoded, unprintable_share

_CJK = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0002ffff"
_HAS_CJK = re.compile(f"[{_CJK}]")
_CJK_WORDS = re.compile(rf"[{_CJK}]|[^\s{_CJK}]+")
_KANA = re.compile("[\u3040-\u30ff]")
_LETTER = re.compile(r"[^\W\d_]")
_PARAGRAPHS = re.compile(r"\n\s*\n")
_SENTENCE_END = re.compile(r"(?<![.!?…])[.!?…]++(?=[\s\"'”’)\]]|$)|[。！？]+")
_TERMINAL = (".", "!", "?", '"', "'", "”", "’", "。", "！", "？", "…", "；", "」", "』", "）", "》")
_ELLIPSIS = ("...", "…")
_BULLETS = ("•", "●", "○", "■", "□", "▪", "▶", "-", "*", "‣", "·")
_POLICY = ("terms of use", "privacy policy", "cookie policy", "uses cookies", "use of cookies", "use cookies")
_EDGES = ".,;:!?\"'()[]“”‘’"

GOPHER_STOP_WORDS = frozenset({"the", "be", "to", "of", "and", "that", "have", "with"})
ENGLISH = GOPHER_STOP_WORDS | {"is", "in", "a", "for", "it", "was", "on", "are", "as", "this", "by", "from", "not"}
CHINESE_STOP_WORDS = frozenset("的是了在和有不也这我与为以就而及其")
"""Among the twenty or so most frequent function characters of modern Chinese, by any published count."""


@dataclass(frozen=True, slots=True)
class Prose:
    """Measures of a text that is not code. Shares are 0…1; lengths are characters."""

    words: int
    mean_word_length: float
    """Of the words that are written with letters and spaces."""
    alphabetic_words: float
    hashes: float
    """Per word."""
    ellipses: float
    """Per word."""
    bullet_lines: float
    ellipsis_lines: float
    terminal_lines: float
    short_lines: float
    lines: int
    stop_words: int
    """Different ones."""
    stop_word_share: float
    distinct_words: float
    """Different words among the first 200."""
    sentences: int
    line_duplicates: Duplicates
    paragraph_duplicates: Duplicates
    top_gram: bool
    duplicate_grams: bool
    latin: bool
    cjk: bool
    kana: bool
    lorem: bool
    web_lines: float
    """Lines that speak of JavaScript or of a site's policies."""
    curly: bool
    unprintable: float
    encoded: Encoded


def measure(text: str) -> Prose:
    """Measure a text that holds at least one visible character."""
    lines = [line for line in map(str.strip, text.split("\n")) if line]
    words, cjk_share = _words(text)
    cjk = cjk_share > 0.3  # below it, Chinese words stand in a text of another language
    spaced = [word for word in words if word.isascii() or not _HAS_CJK.match(word)] if cjk_share else words
    bare = [word.strip(_EDGES).lower() for word in spaced]
    stops = _stop_words(words if cjk else bare, cjk=cjk)
    top, duplicate = repeated_grams(words, stretch=2 if cjk else 1)
    return Prose(
        words=len(words),
        mean_word_length=sum(map(len, bare)) / max(1, len(bare)),
        alphabetic_words=sum(1 for word in words if word.isalpha() or _LETTER.search(word)) / len(words),
        hashes=text.count("#") / len(words),
        ellipses=(text.count("...") + text.count("…")) / len(words),
        bullet_lines=_share(lines, _BULLETS, at_end=False),
        ellipsis_lines=_share(lines, _ELLIPSIS),
        terminal_lines=_share(lines, _TERMINAL),
        short_lines=sum(1 for line in lines if len(line) <= (15 if cjk else 30)) / len(lines),
        lines=len(lines),
        stop_words=len(set(stops)),
        stop_word_share=len(stops) / len(words),
        distinct_words=len(set(words[:200])) / min(200, len(words)),
        sentences=len(_SENTENCE_END.findall(text)),
        line_duplicates=duplicates(lines),
        paragraph_duplicates=duplicates(_PARAGRAPHS.split(text.strip())),
        top_gram=top,
        duplicate_grams=duplicate,
        latin=not cjk and _mostly_latin(text),
        cjk=cjk,
        kana=cjk_share > 0 and _KANA.search(text) is not None,
        lorem="lorem ipsum" in text.lower(),
        web_lines=_web_lines(lines),
        curly="{" in text,
        unprintable=unprintable_share(text),
        encoded=encoded(text),
    )


def language(prose: Prose) -> str:
    """``zh``, ``en`` or ``other``, by script and stop words."""
    if prose.cjk:
        return "zh" if prose.stop_words and not prose.kana else "other"
    enough = prose.latin and prose.stop_words >= 2 and prose.stop_word_share >= 0.05
    return "en" if enough else "other"


def _words(text: str) -> tuple[list[str], float]:
    if text.isascii() or not _HAS_CJK.search(text):
        return text.split(), 0.0
    words = _CJK_WORDS.findall(text)
    return words, sum(1 for word in words if len(word) == 1 and _HAS_CJK.match(word)) / len(words)


def _stop_words(words: list[str], *, cjk: bool) -> list[str]:
    table = CHINESE_STOP_WORDS if cjk else ENGLISH
    return [word for word in words if word in table]


def _share(lines: list[str], marks: tuple[str, ...], *, at_end: bool = True) -> float:
    hits = sum(1 for line in lines if (line.endswith(marks) if at_end else line.startswith(marks)))
    return hits / len(lines)


def _web_lines(lines: list[str]) -> float:
    lowered = [line.lower() for line in lines]
    return sum(1 for line in lowered if "javascript" in line or any(mark in line for mark in _POLICY)) / len(lines)


def _mostly_latin(text: str) -> bool:
    if text.isascii():
        return True
    letters = [char for char in text[:2000] if char.isalpha()]
    return sum(1 for char in letters if char < "\u0250") >= len(letters) / 2


RULES: tuple[Rule[Prose], ...] = (
    Rule("too_short", 1, GOPHER + ": at least 50 words", lambda m: m.words < 50),
    Rule("nearly_empty", 1, C4 + ": lines have at least 5 words; here twice that", lambda m: m.words < 10),
    Rule("too_long", 1, GOPHER + ": at most 100,000 words", lambda m: m.words > 100_000),
    Rule(
        "word_length",
        2,
        GOPHER + ": mean word length from 3 to 10",
        lambda m: m.latin and not 3 <= m.mean_word_length <= 10,
    ),
    Rule("few_alphabetic_words", 2, GOPHER + ": 80% of words have a letter", lambda m: m.alphabetic_words < 0.8),
    Rule("symbols", 1, GOPHER + ": at most 0.1 '#' or ellipses a word", lambda m: max(m.hashes, m.ellipses) > 0.1),
    Rule("bullet_lines", 1, GOPHER + ": at most 90% of lines begin with a bullet", lambda m: m.bullet_lines > 0.9),
    Rule("ellipsis_lines", 1, GOPHER + ": at most 30% of lines end in '…'", lambda m: m.ellipsis_lines > 0.3),
    Rule(
        "few_stop_words",
        2,
        GOPHER + ": 2 stop words; its English list, beside ours for Chinese; other scripts are not asked",
        lambda m: (m.latin or (m.cjk and not m.kana)) and m.stop_words < 2,
    ),
    Rule(
        "duplicate_lines", 1, GOPHER_REPETITION + ": at most 0.30 of the lines", lambda m: m.line_duplicates.share > 0.3
    ),
    Rule(
        "duplicate_paragraphs",
        1,
        GOPHER_REPETITION + ": at most 0.30 of the paragraphs, 0.20 of their characters",
        lambda m: m.paragraph_duplicates.share > 0.3 or m.paragraph_duplicates.char_share > 0.2,
    ),
    Rule(
        "duplicate_line_chars",
        1,
        FINEWEB + ": less than 0.1 of the characters in duplicated lines (Gopher: 0.20)",
        lambda m: m.line_duplicates.char_share >= 0.1,
    ),
    Rule("top_ngram", 1, GOPHER_REPETITION + ": 0.20, 0.18, 0.16 for n = 2, 3, 4", lambda m: m.top_gram),
    Rule("duplicate_ngrams", 2, GOPHER_REPETITION + ": 0.15 … 0.10 for n = 5 … 10", lambda m: m.duplicate_grams),
    Rule(
        "few_terminal_punctuation",
        1,
        FINEWEB + ": more than 0.12 of the lines end in punctuation (C4 keeps such lines only)",
        lambda m: m.terminal_lines <= 0.12,
    ),
    Rule(
        "short_lines",
        1,
        FINEWEB + ": less than 0.67 of the lines have up to 30 characters",
        lambda m: m.short_lines >= 0.67,
    ),
    Rule("few_sentences", 1, C4 + ": at least 3 sentences", lambda m: m.sentences < 3),
    Rule("lorem_ipsum", 4, C4 + ": no 'lorem ipsum'", lambda m: m.lorem),
    Rule(
        "web_boilerplate",
        1,
        C4 + ": drops lines with 'javascript' or a site's policies; here more than a tenth of them",
        lambda m: m.web_lines > 0.1,
    ),
    Rule("curly_brace", 1, C4 + ": no curly brace", lambda m: m.curly),
    Rule(
        "encoded_blob",
        4,
        STARCODER2 + ": no encoded run over 1,024 characters, none over half of the text",
        lambda m: m.encoded.share > 0.5 or m.encoded.longest > 1024,
    ),
    Rule("unprintable", 4, OWN + ": at most 1% control or replacement characters", lambda m: m.unprintable > 0.01),
)

MERITS: tuple[Merit[Prose], ...] = (
    Merit("well_punctuated", lambda m: m.terminal_lines >= 0.6),
    Merit("developed", lambda m: m.words >= 150 and m.sentences >= 5),
    Merit("full_sentences", lambda m: 6 <= m.words / max(1, m.sentences) <= (80 if m.cjk else 40)),
    Merit("rich_vocabulary", lambda m: m.words >= 80 and m.distinct_words >= (0.4 if m.cjk else 0.5)),
)
