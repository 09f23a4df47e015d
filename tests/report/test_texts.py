from __future__ import annotations

from modelcall.report.texts import Texts


def test_texts_are_counted_and_bounded() -> None:
    texts = Texts()
    for number in range(7000):
        texts.add(f"t{number % 6000}")
    texts.add("x" * 10_000, 5)
    assert len(texts.counts) == 5000
    assert texts.total == 7005
    assert texts.others == 1005
    assert texts.most(2) == [("t0", 2), ("t1", 2)]


def test_long_texts_count_by_their_beginning() -> None:
    texts = Texts()
    texts.add("a" * 500 + "1")
    texts.add("a" * 500 + "2")
    assert texts.most(3) == [("a" * 119 + "…", 2)]
