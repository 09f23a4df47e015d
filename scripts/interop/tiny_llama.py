"""Write a llama model of random weights: it loads like any other, and answers noise.

usage: tiny_llama.py FILE.gguf [--seed 1]

Two layers over a vocabulary of single characters and bytes, about 600 kB. Runs in the environment that has the package
`gguf`; the names of tensors and keys are those of https://github.com/ggml-org/ggml/blob/master/docs/gguf.md.
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

import gguf  # type: ignore[import-not-found, unused-ignore]
import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

CONTEXT = 4096
LAYERS, WIDTH, HEADS, INNER = 2, 64, 4, 128
SPREAD = 0.1
"""Standard deviation of the weights: small enough that every token stays likely, so that answers vary."""

ENDS = ("<|im_end|>", "<|eot_id|>", "<|end|>", "<|endoftext|>", "<|end_of_text|>")
"""Further tokens at which llama.cpp ends an answer: with </s> alone, noise would seldom end before its limit."""
TEMPLATE = "{% for m in messages %}{{ m['role'] + ': ' + m['content'] + '\\n' }}{% endfor %}assistant: "

_UNKNOWN, _START, _END = range(3)


def vocabulary() -> Iterator[tuple[str, gguf.TokenType]]:
    """Yield all tokens in order: control, bytes, printable ASCII (SentencePiece's sign for the space)."""
    yield "<unk>", gguf.TokenType.UNKNOWN
    for name in ("<s>", "</s>", *ENDS):
        yield name, gguf.TokenType.CONTROL
    for byte in range(256):
        yield f"<0x{byte:02X}>", gguf.TokenType.BYTE
    for code in range(ord(" "), 127):
        yield chr(code).replace(" ", "▁"), gguf.TokenType.NORMAL


def tensors(vocabulary_size: int, rng: np.random.Generator) -> Iterator[tuple[str, NDArray[np.float32]]]:
    """Yield the weights: matrices are (out, in)."""

    def matrix(rows: int, columns: int) -> NDArray[np.float32]:
        return rng.normal(0.0, SPREAD, (rows, columns)).astype(np.float32)

    yield "token_embd.weight", matrix(vocabulary_size, WIDTH)
    for layer in range(LAYERS):
        for norm in ("attn_norm", "ffn_norm"):
            yield f"blk.{layer}.{norm}.weight", np.ones(WIDTH, dtype=np.float32)
        for part in ("attn_q", "attn_k", "attn_v", "attn_output"):
            yield f"blk.{layer}.{part}.weight", matrix(WIDTH, WIDTH)
        for part, shape in {"ffn_gate": (INNER, WIDTH), "ffn_up": (INNER, WIDTH), "ffn_down": (WIDTH, INNER)}.items():
            yield f"blk.{layer}.{part}.weight", matrix(*shape)
    yield "output_norm.weight", np.ones(WIDTH, dtype=np.float32)
    yield "output.weight", matrix(vocabulary_size, WIDTH)


def write(path: str, *, seed: int) -> None:
    """Write the model."""
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_name("noise")
    writer.add_context_length(CONTEXT)
    writer.add_embedding_length(WIDTH)
    writer.add_block_count(LAYERS)
    writer.add_feed_forward_length(INNER)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(HEADS)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_dimension_count(WIDTH // HEADS)
    tokens = list(vocabulary())
    writer.add_vocab_size(len(tokens))
    _add_tokenizer(writer, tokens)
    for name, weights in tensors(len(tokens), np.random.default_rng(seed)):
        writer.add_tensor(name, weights)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _add_tokenizer(writer: gguf.GGUFWriter, tokens: list[tuple[str, gguf.TokenType]]) -> None:
    writer.add_tokenizer_model("llama")
    writer.add_token_list([name for name, _ in tokens])
    writer.add_token_scores([0.0] * len(tokens))
    writer.add_token_types([kind for _, kind in tokens])
    writer.add_unk_token_id(_UNKNOWN)
    writer.add_bos_token_id(_START)
    writer.add_eos_token_id(_END)
    writer.add_chat_template(TEMPLATE)


def main() -> None:
    """Write what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("path")
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    write(arguments.path, seed=arguments.seed)


if __name__ == "__main__":
    main()
