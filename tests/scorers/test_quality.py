"""The quality rules, over real sources, real prose and real junk."""

from __future__ import annotations

import asyncio
import base64
import random
import statistics
import sysconfig
import threading
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelcall.permits import Permits
from modelcall.scorers.quality import QualityReport, QualityScorer, code, prose, quality
from modelcall.scorers.quality.repetition import duplicates, repeated_grams
from modelcall.types import INT, STRING_LIST, ErrorType, Outcome, RowRef, RowScorer

ENGLISH = (
    "The harbour was quiet in the early morning, and the boats lay still on the water. An old man was mending his "
    "nets beside the wall, as he had done for more than forty years. He did not look up when the children came "
    "running down from the village.\n\n"
    "They wanted to know whether the storm would reach the coast before night. He thought about it for a while, "
    "watched the clouds over the western hills, and said that nobody could be sure. What he could tell them was that "
    "the birds had left the cliffs, which seldom meant anything good.\n\n"
    "In the afternoon the wind turned, slowly at first and then with force. The fishermen tied every rope twice, "
    "closed the shutters of their houses, and waited. By midnight the sea had taken the lower road, but no one was "
    "hurt, and in the morning all the boats were still there. The old man only smiled and went back to his nets.\n"
)
CHINESE = (
    "人工智能的发展已经深刻地改变了我们的生活方式。从语音助手到自动驾驶，机器学习的应用无处不在。然而，技术的进步也带来了新的问题："
    "如何保护个人隐私，如何避免算法的偏见，以及如何让更多的人从中受益。\n\n"
    "研究者们认为，高质量的数据是训练大规模语言模型的关键。为了得到这样的数据，需要对互联网上的网页进行清洗和过滤，"
    "去除重复的内容、广告和乱码。这一过程既耗费计算资源，也需要仔细设计的规则。\n\n"
    "历史上，每一次技术革命都伴随着社会结构的调整。蒸汽机的出现使工厂取代了手工作坊，电力的普及让夜晚变得明亮，"
    "而计算机则把信息的处理速度提高了无数倍。今天，我们正站在另一个转折点上，未来会怎样，取决于我们现在的选择。\n"
)
C_SOURCE = """\
/* Reads numbers from standard input and prints their mean. */
#include <stdio.h>
#include <stdlib.h>

static double mean(const double *values, size_t count) {
    double sum = 0;
    for (size_t i = 0; i < count; i++) {
        sum += values[i];
    }
    return count ? sum / count : 0;
}

int main(void) {
    double values[1024];  /* more input than this is ignored */
    size_t count = 0;
    while (count < 1024 && scanf("%lf", &values[count]) == 1) {
        count++;
    }
    printf("%g\\n", mean(values, count));
    return EXIT_SUCCESS;
}
"""
GO_SOURCE = """\
// Package greet says hello.
package greet

import "fmt"

// Hello greets a person by name.
func Hello(name string) (string, error) {
	if name == "" {
		return "", fmt.Errorf("empty name")
	}
	message := fmt.Sprintf("Hello, %v", name)
	return message, nil
}

// Must greets or panics.
func Must(name string) string {
	message, err := Hello(name)
	if err != nil {
		panic(err)
	}
	return message
}
"""
WORDS = "red fox runs over many quiet hills while tall grey birds sing about rivers stones clouds".split()  # noqa: SIM905
REF = RowRef(file="a.jsonl", row_index=0, request_id="r")


def lines_of_english(count: int) -> str:
    """Sentences that differ, of a dozen words each."""
    draw = random.Random(7)
    return "\n".join(f"The {' '.join(draw.sample(WORDS, 9))} and that is the end of it." for _ in range(count))


def standard_library() -> list[str]:
    folder = Path(sysconfig.get_path("stdlib"))
    return [path.read_text("utf-8") for path in sorted(folder.glob("[a-z]*.py"))[::3]]


def random_bytes(count: int = 2000) -> bytes:
    return random.Random(1).randbytes(count)


def test_the_standard_library_scores_well_and_is_python() -> None:
    reports = [quality(text) for text in standard_library()]
    assert len(reports) > 30
    assert statistics.mean(report.score for report in reports) >= 3.5
    assert sum(report.kind == "code" and report.language == "python" for report in reports) >= 0.9 * len(reports)


JUNK = {
    "bytes_latin": random_bytes().decode("latin-1"),
    "bytes_replaced": random_bytes().decode("utf-8", "replace"),
    "base64": base64.b64encode(random_bytes()).decode(),
    "base64_lines": base64.encodebytes(random_bytes()).decode(),
    "hex": random_bytes().hex(),
    "hex_array": ", ".join(f"0x{byte:02x}" for byte in random_bytes()),
    "escapes": "".join(f"\\u{random.Random(i).randrange(65536):04x}" for i in range(400)),
    "lorem": "Lorem ipsum dolor sit amet, consectetur adipiscing elit, sed do eiusmod tempor.\n" + ENGLISH,
    "repeated_line": "Buy the best watches here, with the lowest price of all.\n" * 40,
    "repeated_phrase": "the best price of all " * 100,
    "repeated_chinese": "今日特价，点击购买，先到先得。" * 40,
    "one_character": "哈" * 300,
    "numbers": "\n".join(f"{i} {i * i} {i * 3}" for i in range(200)),
    "blank": " \n\t ",
    "empty": "",
}


@pytest.mark.parametrize("name", JUNK)
def test_junk_scores_at_most_one(name: str) -> None:
    assert quality(JUNK[name]).score <= 1


def test_good_prose_reaches_the_top_in_both_languages() -> None:
    for text, language in ((ENGLISH, "en"), (CHINESE, "zh")):
        report = quality(text)
        assert (report.score, report.language, report.kind) == (5, language, "text")
        assert report.tags == ("well_punctuated", "developed", "full_sentences", "rich_vocabulary")


def test_chinese_with_english_terms_is_not_punished() -> None:
    text = CHINESE.replace("机器学习", "machine learning").replace("规则", " heuristic rules ")
    assert quality(text).score == 5
    assert quality(text).language == "zh"


def test_chinese_terms_may_recur() -> None:
    """Words of a few characters return in every article; only passages longer than that are repetition."""
    text = CHINESE.replace("技术", "大规模语言模型").replace("人", "大规模语言模型").replace("数据", "大规模语言模型")
    assert text.count("大规模语言模型") * 7 > 0.15 * len(text)
    assert not {"duplicate_ngrams", "top_ngram"} & set(quality(text).tags)


def test_languages_without_rules_of_their_own_are_named_other() -> None:
    japanese = "吾輩は猫である。名前はまだ無い。どこで生れたかとんと見当がつかぬ。" * 2
    russian = "Однажды весною, в час небывало жаркого заката, в Москве появились два гражданина. " * 2
    assert quality(japanese).language == "other"
    assert quality(russian).language == "other"
    assert "few_stop_words" not in quality(japanese).tags + quality(russian).tags
    assert "word_length" not in quality(russian).tags


@pytest.mark.parametrize(
    ("source", "language"),
    [
        (C_SOURCE, "c"),
        (GO_SOURCE, "go"),
        ('#!/bin/bash\nset -e\nfor f in *.txt; do\n  echo "$f"\ndone\n', "shell"),
        ("SELECT id, name\nFROM users\nWHERE age > 30\nORDER BY name;\n", "sql"),
        ('{\n  "name": "x",\n  "values": [1, 2],\n  "nested": {\n    "a": "b"\n  }\n}\n', "json"),
        ("const f = (x) => {\n  console.log(x);\n  return x === 1;\n};\nlet y = f(2);\n", "javascript"),
        ('fn main() {\n    let mut v = Vec::new();\n    v.push(1);\n    println!("{:?}", v);\n}\n', "rust"),
        ("<?php\n$user = new User();\necho $user->name();\n", "php"),
    ],
)
def test_code_is_told_by_its_content(source: str, language: str) -> None:
    report = quality(source)
    assert (report.kind, report.language) == ("code", language)


def test_good_code_of_other_languages_scores_well() -> None:
    assert quality(C_SOURCE).score == 5
    assert quality(GO_SOURCE).score == 5


def test_each_code_rule_is_told_in_the_tags() -> None:
    body = "x = compute(1)\n" + "".join(f"value_{i} = compute({i})\n" for i in range(30))
    assert "no_comments" in quality(body).tags
    assert "generated" in quality("# Generated by the protocol compiler. DO NOT EDIT!\n" + body).tags
    assert "generated" not in quality(body + "# generated by hand\n").tags
    assert "long_line" in quality(body + f"data = [{'1, ' * 400}]\n").tags
    assert "duplicate_lines" in quality(body + "call_the_same_function()\n" * 40).tags
    assert "encoded_blob" in quality(body + f'KEY = "{base64.b64encode(random_bytes()).decode()}"\n').tags
    assert "mostly_comments" in quality(C_SOURCE.replace("*/", "x" * 9000 + " */", 1)).tags
    assert "data_file" in quality('{\n  "a": "b",\n  "c": "d",\n  "e": "f"\n}').tags
    assert "few_alphanumeric" in quality("++;\n--;\n{{}}\n[[]];\n" * 5).tags
    assert "unprintable" in quality(C_SOURCE + "\x00\x01\x02" * 20).tags


PROSE_RULES = {
    "too_short": "The cat sat on the mat and it was happy with that. ",
    "nearly_empty": "Hello there.",
    "word_length": " ".join(f"incomprehensibilities{i} and" for i in range(60)),
    "few_alphabetic_words": ENGLISH + " 12 34 56 78" * 40,
    "symbols": ENGLISH.replace(". ", ".# #trend #fun #day "),
    "bullet_lines": "\n".join(f"• {line}" for line in lines_of_english(10).split("\n")),
    "ellipsis_lines": lines_of_english(10).replace(".\n", "...\n"),
    "few_stop_words": " ".join(f"{a} {b}" for a in WORDS for b in WORDS),
    "duplicate_lines": lines_of_english(5) + "\n" + "And so on.\n" * 4,
    "duplicate_paragraphs": ENGLISH + "\n" + ENGLISH,
    "duplicate_line_chars": ENGLISH + ENGLISH,
    "top_ngram": "of course " * 40 + ENGLISH,
    "duplicate_ngrams": " ".join([ENGLISH.replace("\n", " ")] * 2),
    "few_terminal_punctuation": lines_of_english(10).replace(".", ""),
    "short_lines": "\n".join(f"The end of day {i}." for i in range(30)),
    "few_sentences": lines_of_english(12).replace(".", ","),
    "lorem_ipsum": ENGLISH + "LOREM IPSUM",
    "web_boilerplate": ENGLISH + "Please enable JavaScript.\nThis site uses cookies.\n",
    "curly_brace": ENGLISH + "He wrote {name} on the wall.",
    "encoded_blob": ENGLISH + base64.b64encode(random_bytes()).decode(),
    "unprintable": ENGLISH + "\x00\ufffd" * 20,
}


def test_every_prose_rule_but_the_longest_has_an_example() -> None:
    assert {rule.tag for rule in prose.RULES} == {*PROSE_RULES, "too_long"}


@pytest.mark.parametrize("tag", PROSE_RULES)
def test_each_prose_rule_is_told_in_the_tags_and_costs(tag: str) -> None:
    report = quality(PROSE_RULES[tag])
    assert tag in report.tags
    assert tag not in quality(ENGLISH).tags
    assert report.score < 5


def test_every_rule_names_its_source() -> None:
    known = ("Gopher", "C4 (", "FineWeb", "The Stack", "StarCoder", "CodeParrot", "ModelCall")
    entries = [(r.tag, r.source, r.cost) for r in prose.RULES] + [(r.tag, r.source, r.cost) for r in code.RULES]
    assert [tag for tag, source, _ in entries if not source.startswith(known)] == []
    assert {cost for *_, cost in entries} == {1, 2, 4}


def test_duplicates_are_shares_of_pieces_and_of_characters() -> None:
    found = duplicates(["aaaa", "b", "aaaa", "c"])
    assert found.share == pytest.approx(1 / 4)
    assert found.char_share == pytest.approx(4 / 10)
    assert duplicates([]).share == 0.0


def test_the_top_gram_is_measured_in_characters() -> None:
    filler = [f"word{i:04}" for i in range(100)]  # 800 characters
    assert repeated_grams(filler) == (False, False)
    # "xxxx yyyy" 20 times in 800 + 240: 160 of 960 characters is under 0.20, 30 times 240 of 1,040 is over it
    few = [word for i, name in enumerate(filler) for word in ((name, "xxxx", "yyyy") if i < 20 else (name,))]
    many = [word for i, name in enumerate(filler) for word in ((name, "xxxx", "yyyy") if i < 30 else (name,))]
    assert repeated_grams(few)[0] is False
    assert repeated_grams(many)[0] is True


def test_a_repeated_passage_counts_once_and_only_above_its_share() -> None:
    filler = [f"w{i:03}" for i in range(100)]
    passage = [f"p{i:03}" for i in range(12)]
    assert repeated_grams([*filler, *passage, *passage]) == (False, False)  # 48 of 496 characters
    assert repeated_grams([*filler[:40], *passage, *passage]) == (False, True)  # 48 of 256


def test_stretched_grams_need_twice_the_words() -> None:
    words = [f"w{i:02}" for i in range(30)]
    text = [*words, *words[:7]]
    assert repeated_grams(text)[1] is True
    assert repeated_grams(text, stretch=2)[1] is False


def brute_force_grams(words: list[str]) -> tuple[bool, bool]:
    """Table A1 as it is written, one length after the other."""
    total = sum(map(len, words))

    def grams(n: int) -> list[tuple[str, ...]]:
        return [tuple(words[i : i + n]) for i in range(len(words) - n + 1)]

    def size(gram: tuple[str, ...]) -> int:
        return sum(map(len, gram))

    def top(n: int) -> float:
        found = grams(n)
        counts = {gram: found.count(gram) for gram in found}
        best = max(counts.values(), default=0)
        return next((best * size(gram) for gram in found if counts[gram] == best and best > 1), 0) / total

    def covered(n: int) -> float:
        found, chars, free = grams(n), 0, 0
        for i, gram in enumerate(found):
            if i >= free and gram in found[:i]:
                chars, free = chars + size(gram), i + n
        return chars / total

    limits_top = {2: 0.20, 3: 0.18, 4: 0.16}
    limits = {5: 0.15, 6: 0.14, 7: 0.13, 8: 0.12, 9: 0.11, 10: 0.10}
    return any(top(n) > limit for n, limit in limits_top.items()), any(covered(n) > m for n, m in limits.items())


@given(st.lists(st.sampled_from(["a", "bb", "ccc", "d", "eeeee"]), min_size=1, max_size=40))
def test_one_pass_finds_what_brute_force_finds(words: list[str]) -> None:
    assert repeated_grams(words) == brute_force_grams(words)


@given(st.text(max_size=300))
def test_any_text_gets_a_repeatable_report(text: str) -> None:
    report = quality(text)
    assert 0 <= report.score <= 5
    assert report == quality(text)
    assert len(set(report.tags)) == len(report.tags)


@pytest.mark.parametrize(
    "unit", ["/*", '"""', "a.b ", "." * 50, "0x1f,", "a\n", "static ", "x(", "<!--", "\n \n", "中"]
)
def test_time_is_linear_in_hostile_text(unit: str) -> None:
    def seconds(chars: int) -> float:
        text = unit * (chars // len(unit)) + "z"
        began = time.process_time()
        quality(text)
        return time.process_time() - began

    assert seconds(20_000) < 8 * max(seconds(5_000), 0.02)  # four times the text; a quadratic rule takes sixteen times


def scorer(**options: str) -> QualityScorer:
    return QualityScorer(Permits(1), **options)


async def score(made: QualityScorer, row: dict[str, object]) -> Outcome:
    permit = await made.permits.take()
    try:
        return await made.score(row, REF, permit)
    finally:
        permit.release()


async def test_a_row_gets_the_three_columns() -> None:
    made: RowScorer = scorer()
    assert made.columns == {"score": INT, "quality_tags": STRING_LIST, "main_languages": STRING_LIST}
    assert made.reads == frozenset({"text"})
    assert made.is_judge is False
    outcome = await score(scorer(), {"text": C_SOURCE})
    assert outcome.error_type is None
    assert outcome.values == {
        "score": 5,
        "quality_tags": ["documented", "structured", "readable_lines", "self_contained"],
        "main_languages": ["c"],
    }


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ({}, "The row has no column 'body'."),
        ({"body": None}, "Column 'body' holds no text but null."),
        ({"body": 3}, "Column 'body' holds no text but int."),
    ],
)
async def test_a_row_without_text_is_a_bad_row(row: dict[str, object], reason: str) -> None:
    outcome = await score(scorer(input_key="body"), row)
    assert (outcome.values, outcome.error_type, outcome.fail_reason) == (None, ErrorType.BAD_ROW, reason)


async def test_an_empty_text_is_scored() -> None:
    outcome = await score(scorer(), {"text": ""})
    assert outcome.values == {"score": 0, "quality_tags": ["empty"], "main_languages": ["other"]}


async def test_a_long_text_is_judged_in_a_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []

    def judge(text: str) -> QualityReport:
        seen.append(threading.get_ident())
        return quality(text[:10])

    monkeypatch.setattr("modelcall.scorers.quality.scorer.quality", judge)
    await asyncio.gather(score(scorer(), {"text": "a " * 50_001}), score(scorer(), {"text": "short"}))
    here = threading.get_ident()
    assert sorted(ident == here for ident in seen) == [False, True]


def test_the_identity_names_the_rules_and_the_column() -> None:
    assert scorer().identity != scorer(input_key="body").identity
    assert "rules 1" in scorer().identity["scorer"]
