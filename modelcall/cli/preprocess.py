"""``modelcall preprocess``: raw corpora to clean Parquet, on all cores."""

from __future__ import annotations

from typing import Annotated, TypeAlias

import typer

from modelcall.cli.keyed import keyed
from modelcall.cli.lazily import run_preprocess
from modelcall.cli.options import Fresh, Fs, Json, Quiet, Root
from modelcall.cli.showing import Showing
from modelcall.config.preprocessing import load_preprocess

app = typer.Typer(add_completion=False, rich_markup_mode=None, no_args_is_help=True)

RawPath: TypeAlias = Annotated[
    str | None, typer.Option("--raw_path", metavar="PATH", help="File, folder or glob of JSON Lines and Parquet.")
]
OutputDir: TypeAlias = Annotated[
    str | None, typer.Option("--output_dir", metavar="PATH", help="Folder for Parquet files of the same names.")
]
StatDir: TypeAlias = Annotated[
    str | None,
    typer.Option("--stat_dir", metavar="PATH", help="Folder for what became of each file. Default: beside the output."),
]
NumFiles: TypeAlias = Annotated[
    int | None, typer.Option("--num_files", metavar="N", help="First files in sorted order; -1: all.")
]
NumProc: TypeAlias = Annotated[int | None, typer.Option("--num_proc", metavar="N", min=1, help="Processes.")]
MaxTokens: TypeAlias = Annotated[
    int | None, typer.Option("--max_tokens", metavar="N", min=1, help="Tokens kept in content_truncate_Nk.")
]
Seed: TypeAlias = Annotated[
    int | None, typer.Option("--seed", metavar="N", help="Seed of what a preprocessor of your own draws.")
]
TextKey: TypeAlias = Annotated[
    str | None, typer.Option("--text_key", metavar="COLUMN", help="Column that holds the text.")
]
Tokenizer: TypeAlias = Annotated[
    str | None,
    typer.Option("--tokenizer", metavar="NAME", help="o200k, cl100k, characters, or the path of a tokenizer.json."),
]
Dedupe: TypeAlias = Annotated[
    str | None,
    typer.Option("--dedupe", metavar="WHERE", help="file: of equal texts in one file the first is kept; or none."),
]
SourceName: TypeAlias = Annotated[
    str | None, typer.Option("--source_name", metavar="NAME", help="Value of the column source where there is none.")
]

_OUTCOME = """\
\b
Started again, it does what is left: files that are new, have changed, or failed. --fresh makes all
anew. Exit codes: 0 every file, 2 configuration, 3 files failed, 4 stopped (start again),
130 and 143 interrupted (start again)."""
_EXAMPLES = """\
\b
Examples:
  modelcall preprocess github --raw_path raw/ --output_dir formatted/
  modelcall preprocess universal --config my_rules.yaml --raw_path raw/ --output_dir clean/
  modelcall preprocess custom my_module:MyPreprocessor --raw_path raw/ --output_dir clean/
  modelcall preprocess github --help"""
_GITHUB = f"""\
\b
Examples:
  modelcall preprocess github --raw_path raw/ --output_dir formatted/ --stat_dir stats/ --num_proc 16
  modelcall preprocess github --raw_path 'raw/*.jsonl.gz' --output_dir formatted/ --text_key code
  modelcall preprocess github --raw_path raw/ --output_dir sample/ --num_files 2 --max_tokens 8192

{_OUTCOME}"""
_UNIVERSAL = f"""\
\b
Examples:
  modelcall preprocess universal --config my_rules.yaml --raw_path raw/ --output_dir clean/
  modelcall preprocess universal --config configs/tasks/github_raw_code_with_preprocess.yaml \\
      --raw_path raw/ --output_dir clean/ --num_files 1

{_OUTCOME}"""
_CUSTOM = f"""\
\b
Examples:
  modelcall preprocess custom my_module:MyPreprocessor --raw_path raw/ --output_dir clean/
  modelcall preprocess custom my_module:MyPreprocessor --raw_path raw/ --output_dir clean/ \\
      --option min_stars=10

{_OUTCOME}"""


@app.callback(epilog=_EXAMPLES)
def _preprocess() -> None:
    """Turn raw files into clean Parquet files with id, text, source and a text of bounded length, on all cores."""


@app.command(epilog=_GITHUB)
def github(
    *,
    raw_path: RawPath = None,
    output_dir: OutputDir = None,
    stat_dir: StatDir = None,
    num_files: NumFiles = None,
    num_proc: NumProc = None,
    max_tokens: MaxTokens = None,
    seed: Seed = None,
    text_key: TextKey = None,
    tokenizer: Tokenizer = None,
    dedupe: Dedupe = None,
    source_name: SourceName = None,
    fresh: Fresh = False,
    fs: Fs = None,
    root: Root = None,
    quiet: Quiet = False,
    as_json: Json = False,
) -> int:
    """Format raw code from GitHub: JSON Lines or Parquet in, Parquet out; adds the programming language, too."""
    options = {
        "script_type": "github_raw_code",
        "raw_path": raw_path,
        "output_dir": output_dir,
        "stat_dir": stat_dir,
        "num_files": num_files,
        "num_proc": num_proc,
        "max_tokens": max_tokens,
        "seed": seed,
        "text_key": text_key,
        "tokenizer": tokenizer,
        "dedupe": dedupe,
        "source_name": source_name,
    }
    loaded = load_preprocess(options, root=root, fs=fs)
    return run_preprocess(loaded, fresh=fresh, showing=Showing(quiet=quiet, as_json=as_json))


@app.command(epilog=_UNIVERSAL)
def universal(
    *,
    config: Annotated[
        str, typer.Option("--config", metavar="FILE", help="Keys of the preprocess block, bare or in a task file.")
    ],
    raw_path: RawPath = None,
    output_dir: OutputDir = None,
    stat_dir: StatDir = None,
    num_files: NumFiles = None,
    num_proc: NumProc = None,
    max_tokens: MaxTokens = None,
    text_key: TextKey = None,
    tokenizer: Tokenizer = None,
    dedupe: Dedupe = None,
    source_name: SourceName = None,
    fresh: Fresh = False,
    fs: Fs = None,
    root: Root = None,
    quiet: Quiet = False,
    as_json: Json = False,
) -> int:
    """Map, clean, filter and compute columns as a file says; options of the command line win over it."""
    options = {
        "raw_path": raw_path,
        "output_dir": output_dir,
        "stat_dir": stat_dir,
        "num_files": num_files,
        "num_proc": num_proc,
        "max_tokens": max_tokens,
        "text_key": text_key,
        "tokenizer": tokenizer,
        "dedupe": dedupe,
        "source_name": source_name,
    }
    loaded = load_preprocess(options, file=config, root=root, fs=fs)
    return run_preprocess(loaded, fresh=fresh, showing=Showing(quiet=quiet, as_json=as_json))


@app.command(epilog=_CUSTOM)
def custom(
    script: Annotated[str, typer.Argument(metavar="MODULE:CLASS", help="A preprocessor of your own.")],
    *,
    option: Annotated[
        list[str] | None, typer.Option("--option", metavar="KEY=VALUE", help="One of its options; repeatable.")
    ] = None,
    raw_path: RawPath = None,
    output_dir: OutputDir = None,
    stat_dir: StatDir = None,
    num_files: NumFiles = None,
    num_proc: NumProc = None,
    max_tokens: MaxTokens = None,
    seed: Seed = None,
    text_key: TextKey = None,
    tokenizer: Tokenizer = None,
    dedupe: Dedupe = None,
    source_name: SourceName = None,
    fresh: Fresh = False,
    fs: Fs = None,
    root: Root = None,
    quiet: Quiet = False,
    as_json: Json = False,
) -> int:
    """Run a preprocessor of your own, by package.module:Class or the name of its entry point."""
    options = {
        "script_type": script,
        "options": keyed(option, shown="--option"),
        "raw_path": raw_path,
        "output_dir": output_dir,
        "stat_dir": stat_dir,
        "num_files": num_files,
        "num_proc": num_proc,
        "max_tokens": max_tokens,
        "seed": seed,
        "text_key": text_key,
        "tokenizer": tokenizer,
        "dedupe": dedupe,
        "source_name": source_name,
    }
    loaded = load_preprocess(options, root=root, fs=fs)
    return run_preprocess(loaded, fresh=fresh, showing=Showing(quiet=quiet, as_json=as_json))
