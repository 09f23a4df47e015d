"""Code or prose, and which programming language: by the name of a file, or guessed from a bounded part of a text."""

from __future__ import annotations

import re

_SAMPLE_CHARS = 20_000
_SAMPLE_LINES = 400
_CODE_SHARE = 0.25

# One line that people write in programs and hardly ever in prose. Lines that begin with '#' are left out of the
# count: they are comments here and headings there.
_CODE_LINE = re.compile(
    r"""
    .*[;{}]$ | .*\)\s*:$ | .*[=(\[,]$(?<=[=(\[]) | .*\\$
  | (?:import|from|package|using|use|require|include)\s+[\w.:{}*'"/<>-]+(?:\s+(?:import|as)\b.*|\s*[;,]?)$
  | (?:def|class|struct|enum|interface|impl|fn|func|function|sub|module|namespace|trait|async|pub|public|private
     |protected|static|const|let|var|val|typedef|template|extern|local|export|type)\s+[\w$<*&({]+\s*[\w(<:={*&,].*
  | (?:if|elif|while|for|switch|match|with|except|catch|foreach)\b.*(?::|\{|;\s*then|;\s*do|\()$
  | (?:else|try|finally|do|begin|end|then|fi|done|esac|pass|break|continue|default)\s*[:;{]?$
  | return(?:\s+[\w.\[\]()"'-]+)?$ | return\b.*[().\[\]+*/=].* | raise\s+\w+.* | assert\s+.*[=(.].* | yield\b.*
  | @\w[\w.]*(?:\(.*)?$ | (?://|/\*|\*/|\*\s|<!--|<\?|<!DOCTYPE|</?\w+[^>]*>|--\s) .*
  | [\w.$\[\]"'*&>:-]+\s*(?:[-+*/|&^%:?]|<<|>>|\*\*)?=(?!=)\s*\S.* | [\w$]+(?:(?:\.|::|->)[\w$]+)*\(.*[),\]]$
  | (?:SELECT|INSERT|UPDATE|DELETE|CREATE|ALTER|DROP|FROM|WHERE|JOIN|GROUP|ORDER)\s.*
  | "[\w$ -]+"\s*:\s*.+[,\[{"\d]$ | >>>\s.*
    """,
    re.VERBOSE,
)

_MARKERS: dict[str, tuple[str, ...]] = {
    "python": (
        "def ",
        "self.",
        "elif ",
        "import ",
        "None",
        '"""',
        "except",
        "__init__",
        "    return ",
        "print(",
        "lambda ",
    ),
    "c": ("#include <", "#define ", "#ifdef", "#endif", "->", "printf(", "struct ", "NULL", "typedef ", "void ", "*)"),
    "cpp": (
        "std::",
        "template<",
        "template <",
        "namespace ",
        "#include <",
        "public:",
        "cout <<",
        "nullptr",
        "::",
        "const ",
    ),
    "java": ("public class", "import java", "public static", "@Override", "System.out", "private ", "extends ", "new "),
    "javascript": ("function", "const ", "let ", "var ", "=> ", "===", "console.", "require(", "document.", "this."),
    "typescript": ("): ", ": string", ": number", "interface ", "export ", "readonly ", "import {", ": boolean", "=> "),
    "go": ("func ", ":= ", "fmt.", "import (", "err != nil", "chan ", "package ", "defer ", "interface{}", "[]"),
    "rust": ("fn ", "let mut ", "impl ", "pub ", "&self", "&str", "println!", "Some(", "Ok(", "::", "-> ", "match "),
    "csharp": ("using System", "namespace ", "get; set;", "public ", "string ", "var ", "async Task", "Console."),
    "php": ("<?php", "$this->", "echo ", "function ", "=> ", "$_", "array("),
    "ruby": ("\nend", "  end\n", "require '", " do |", "puts ", "attr_", ".each", "def ", "nil", "elsif "),
    "perl": ("my $", "use strict", "=~ ", "sub ", "@_", "->{", "$self"),
    "shell": ("#!/bin/", "\nfi", "; then", "echo ", "$(", "esac", "\ndone", '"$', "${", "[ -", "export "),
    "sql": ("SELECT ", "FROM ", "WHERE ", "INSERT INTO", "CREATE TABLE", "VALUES", "PRIMARY KEY", "JOIN "),
    "lua": ("local ", "function", " then\n", "\nend", "nil", "~=", ".."),
    "r": ("<- ", "library(", "function(", "c(", "data.frame", "TRUE", "%>%"),
    "html": ("<html", "<div", "</", "<!DOCTYPE", "href=", "<p>", "<head", "<script", "class="),
    "css": ("px;", "color:", "margin", "@media", "padding", "font-", ": #", "display:"),
    "json": ('":', '": "', '": {', '": [', '",\n', "},\n"),
    "yaml": ("\n- ", ":\n  ", "\n  - ", "---\n", ": true\n", ": false\n"),
}
_NAMES = {
    "dockerfile": "dockerfile",
    "makefile": "makefile",
    "gnumakefile": "makefile",
    "cmakelists.txt": "cmake",
    "gemfile": "ruby",
    "rakefile": "ruby",
    "jenkinsfile": "groovy",
}
_SUFFIXES: dict[str, str] = {
    suffix: name
    for name, suffixes in {
        "assembly": "asm s",
        "c": "c h",
        "clojure": "clj cljs cljc edn",
        "cmake": "cmake",
        "cpp": "cpp cc cxx c++ hpp hh hxx h++ inl ipp tpp",
        "csharp": "cs csx",
        "css": "css scss sass less",
        "cuda": "cu cuh",
        "cython": "pyx pxd pxi",
        "dart": "dart",
        "elixir": "ex exs",
        "erlang": "erl hrl",
        "fortran": "f f77 f90 f95 f03 f08 for",
        "fsharp": "fs fsi fsx",
        "go": "go",
        "graphql": "graphql gql",
        "groovy": "groovy gradle gvy",
        "haskell": "hs lhs",
        "html": "html htm xhtml vue svelte",
        "java": "java",
        "javascript": "js mjs cjs jsx",
        "json": "json jsonl geojson webmanifest",
        "julia": "jl",
        "kotlin": "kt kts",
        "lisp": "lisp lsp cl el scm rkt ss",
        "lua": "lua",
        "makefile": "mk mak",
        "markdown": "md markdown mdx",
        "matlab": "m mat",
        "notebook": "ipynb",
        "objectivec": "mm",
        "ocaml": "ml mli",
        "pascal": "pas pp dpr",
        "perl": "pl pm pod",
        "php": "php phtml php3 php4 php5",
        "powershell": "ps1 psm1 psd1",
        "protobuf": "proto",
        "python": "py pyi pyw",
        "r": "r rmd",
        "rst": "rst",
        "ruby": "rb rake gemspec erb",
        "rust": "rs",
        "scala": "scala sc sbt",
        "shell": "sh bash zsh ksh fish bats",
        "solidity": "sol",
        "sql": "sql ddl psql",
        "swift": "swift",
        "tcl": "tcl",
        "tex": "tex sty cls bib",
        "text": "txt",
        "toml": "toml",
        "typescript": "ts tsx mts cts",
        "verilog": "v sv svh vh",
        "vhdl": "vhd vhdl",
        "vim": "vim",
        "xml": "xml xsd xsl xslt svg plist",
        "yaml": "yaml yml",
        "zig": "zig",
    }.items()
    for suffix in suffixes.split()
}
_SHEBANGS = {"python": "python", "/sh": "shell", "bash": "shell", "node": "javascript", "perl": "perl", "ruby": "ruby"}


def looks_like_code(text: str) -> bool:
    """Whether a quarter of the first lines are such as only programs have."""
    if text.startswith(("#!", "<?php", "#include ", "<!DOCTYPE html", "<!doctype html", "<html")):
        return True
    lines = [line for line in map(str.strip, text[:_SAMPLE_CHARS].split("\n")) if line and not line.startswith("#")]
    lines = lines[:_SAMPLE_LINES]
    hits = sum(1 for line in lines if _CODE_LINE.match(line[:200]))
    return len(lines) > 0 and hits / len(lines) >= _CODE_SHARE


def code_language(text: str) -> str:
    """The language whose markers occur most, each counted up to five times; ``other`` if hardly any does."""
    sample = text[:_SAMPLE_CHARS]
    if sample.startswith("#!"):
        line = sample.partition("\n")[0]
        for word, name in _SHEBANGS.items():
            if word in line:
                return name
    points = {name: sum(min(sample.count(mark), 5) for mark in marks) for name, marks in _MARKERS.items()}
    best = max(points, key=points.__getitem__)
    return best if points[best] >= 2 else "other"  # noqa: PLR2004  one marker is chance


def path_language(path: str) -> str | None:
    """The language that files of this name are in; None if the name does not tell."""
    name = path.replace("\\", "/").rpartition("/")[2].lower()
    return _NAMES.get(name) or _SUFFIXES.get(name.rpartition(".")[2] if "." in name else "")
