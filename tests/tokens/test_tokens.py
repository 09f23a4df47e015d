from __future__ import annotations

import gzip
import importlib.resources
import json
import sys
from base64 import b64decode
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import tiktoken
import tokenizers
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tiktoken_ext import openai_public
from tokenizers.models import BPE

from modelcall import tokens
from modelcall.errors import ConfigError
from modelcall.tokens import EMBEDDED, BytePairs, Characters, identity_of, open_tokenizer

if TYPE_CHECKING:
    from collections.abc import Callable

    from tiktoken import Encoding

    from modelcall.tokens import Tokenizer

SOURCE = Path(json.__file__).read_text(encoding="utf-8")
"""Real code: a module of the standard library."""
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=60) | st.text("ab \n\t1é中🙂𓀀'sS-", max_size=200)
HOSTILE = ("a", " ", "\n", "é", "中", "🙂", "\x00", "=", "ab ", "'s", "1", "a\u0301", "𓀀")


def reference(name: str) -> Encoding:
    """The vocabulary in the hands of its maker's own library, which would fetch it from the network."""
    packed = importlib.resources.files("bpe_openai.data").joinpath(f"{EMBEDDED[name]}.tiktoken.gz").read_bytes()
    pairs = (line.split() for line in gzip.decompress(packed).splitlines() if line)
    ranks = {b64decode(token): int(rank) for token, rank in pairs}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(openai_public, "load_tiktoken_bpe", lambda *_, **__: ranks)
        return tiktoken.Encoding(**getattr(openai_public, EMBEDDED[name])())


@pytest.fixture(scope="module")
def references() -> dict[str, Encoding]:
    return {name: reference(name) for name in EMBEDDED}


@pytest.fixture(scope="module")
def model_file(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A byte-level vocabulary as models have it, trained on a little code, so that few characters are one token."""
    made = tokenizers.Tokenizer(BPE())
    made.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = tokenizers.decoders.ByteLevel()
    alphabet = tokenizers.pre_tokenizers.ByteLevel.alphabet()
    trainer = tokenizers.trainers.BpeTrainer(
        vocab_size=600, initial_alphabet=alphabet, special_tokens=["<s>"], show_progress=False
    )
    made.train_from_iterator([SOURCE], trainer)
    made.post_processor = tokenizers.processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 0)])
    made.enable_truncation(5)
    made.enable_padding(length=7)
    path = tmp_path_factory.mktemp("model") / "tokenizer.json"
    made.save(str(path))
    return str(path)


@pytest.fixture(params=["o200k", "cl100k", "other package", "file", "characters"])
def tokenizer(request: pytest.FixtureRequest, model_file: str) -> Tokenizer:
    if request.param == "other package":
        return BytePairs("o200k", tokens.bpe_openai("o200k_base"))
    return open_tokenizer(model_file if request.param == "file" else request.param)


@pytest.mark.parametrize("load", [tokens.rs_bpe, tokens.bpe_openai])
@pytest.mark.parametrize("name", EMBEDDED)
@settings(max_examples=300, deadline=None)
@given(text=TEXTS, limit=st.integers(0, 40))
@example(text=SOURCE, limit=700)
@example(text=SOURCE, limit=100_000)
@example(text="<|endoftext|>", limit=3)
def test_counts_and_cuts_are_those_of_the_reference(
    references: dict[str, Encoding], load: Callable[[str], Any], name: str, text: str, limit: int
) -> None:
    bpe, expected = BytePairs(name, load(EMBEDDED[name])), references[name].encode_ordinary(text)

    cut = bpe.cut(text, limit)

    assert bpe.count(text) == len(expected)
    assert cut.tokens <= min(limit, len(expected)) < cut.tokens + 4
    assert cut.text.encode() == references[name].decode_bytes(expected[: cut.tokens])


@settings(max_examples=200, deadline=None)
@given(data=st.data())
def test_a_cut_is_a_beginning_and_no_longer_than_asked(data: st.DataObject, model_file: str) -> None:
    tokenizer = open_tokenizer(data.draw(st.sampled_from([*EMBEDDED, model_file, "characters"])))
    text, limit = data.draw(TEXTS), data.draw(st.integers(0, 50))

    cut = tokenizer.cut(text, limit)

    assert text.startswith(cut.text)
    assert cut.tokens <= limit
    if cut.text == text:
        assert cut.tokens == tokenizer.count(text)
    else:
        assert tokenizer.count(text) > limit
        assert limit - cut.tokens <= 3
    cut.text.encode()


@pytest.mark.parametrize("unit", HOSTILE)
def test_hostile_text_is_cut_without_being_looked_through(tokenizer: Tokenizer, unit: str) -> None:
    text = unit * (3_000_000 // len(unit))

    cut = tokenizer.cut(text, 1000)

    assert text.startswith(cut.text)
    assert 997 <= cut.tokens <= 1000
    assert cut.text == tokenizer.cut(text[: len(cut.text) * 3], 1000).text


def test_what_is_looked_at_grows_with_the_limit_and_not_with_the_text() -> None:
    seen: list[int] = []

    class Watched:
        def encode(self, text: str) -> list[int]:
            seen.append(len(text))
            return list(map(ord, text))

        def count_till_limit(self, text: str, limit: int) -> int | None:
            seen.append(len(text))
            return len(text) if len(text) <= limit else None

        def decode(self, tokens: list[int]) -> str:
            return "".join(map(chr, tokens))

    assert BytePairs("watched", Watched()).cut("a" * 10_000_000, 100) == ("a" * 100, 100)
    assert sum(seen) <= 1600


def test_a_character_of_several_tokens_is_kept_whole_or_not_at_all(tokenizer: Tokenizer) -> None:
    text = "ab𓀀𓀀cd"

    kept = [tokenizer.cut(text, limit).text for limit in range(tokenizer.count(text) + 1)]

    assert kept[0] == ""
    assert kept[-1] == text
    assert set(kept) <= {text[:end] for end in range(len(text) + 1)}
    assert [len(cut) for cut in kept] == sorted(len(cut) for cut in kept)


def test_special_tokens_of_a_file_are_not_counted_and_its_own_limits_do_not_hold(model_file: str) -> None:
    tokenizer = open_tokenizer(model_file)

    assert tokenizer.count("") == 0
    assert tokenizer.count("a b") == tokenizer.count("a") + tokenizer.count(" b")
    assert tokenizer.count(SOURCE) > 1000


def test_tokenizers_are_told_apart_by_what_they_give(model_file: str, tmp_path: Path) -> None:
    copy = tmp_path / "copy.json"
    copy.write_bytes(Path(model_file).read_bytes())

    assert open_tokenizer(str(copy)).identity == open_tokenizer(model_file).identity
    assert len({open_tokenizer(name).identity for name in (*EMBEDDED, "characters", model_file)}) == 4


def test_an_identity_is_told_without_a_vocabulary(model_file: str, monkeypatch: pytest.MonkeyPatch) -> None:
    names = (*EMBEDDED, "characters", model_file)
    identities = [open_tokenizer(name).identity for name in names]
    monkeypatch.setattr(tokens, "_embedded", lambda name: pytest.fail(f"{name} was loaded"))

    assert [identity_of(name) for name in names] == identities


def test_without_a_package_that_holds_it_a_vocabulary_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tokens, "_PACKAGES", ("no_such_package",))

    with pytest.raises(ConfigError, match="no package holds the vocabulary o200k"):
        identity_of("o200k")


def test_lone_surrogates_are_an_error(tokenizer: Tokenizer) -> None:
    if isinstance(tokenizer, Characters):
        return
    with pytest.raises(UnicodeEncodeError):
        tokenizer.count("a\ud800")
    with pytest.raises(UnicodeEncodeError):
        tokenizer.cut("a\ud800", 5)


def test_what_is_no_tokenizer_is_refused(tmp_path: Path) -> None:
    broken = tmp_path / "broken.json"
    broken.write_text("{}")
    for name, said in [
        ("o300k", "there is no tokenizer 'o300k'"),
        (str(tmp_path / "none.json"), "none.json: the tokenizer cannot be read: No such file"),
        (str(broken), "broken.json: the tokenizers library cannot read it"),
    ]:
        for look in (open_tokenizer, identity_of):
            with pytest.raises(ConfigError, match=said):
                look(name)


def test_without_the_library_a_file_names_what_to_install(model_file: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tokenizers", None)
    tokens._from_file.cache_clear()

    with pytest.raises(ConfigError, match="not installed") as caught:
        open_tokenizer(model_file)

    assert "modelcall[tokenizers]" in str(caught.value.hint)
