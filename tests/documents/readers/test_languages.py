import pytest

from bhasa.documents.readers import PLAIN, READERS, format_of
from bhasa.documents.readers.languages import INTERPRETERS, NAMES, SOURCE_CODE, TEMPLATES, of_beginning
from bhasa.documents.readers.plain import read

ONCE_UNSUPPORTED = (
    *(".tex", ".org", ".adoc", ".mdx", ".rmd", ".qmd", ".text", ".log", ".diff", ".patch", ".po", ".css"),
    *(".scss", ".vue", ".svelte", ".bat", ".ps1", ".tf", ".proto", ".graphql", ".m", ".mm", ".v", ".cmake"),
    *(".gradle", ".groovy", ".cjs", ".mts", ".cts", ".awk", ".tcl", ".vb", ".lean", ".j2", ".lock"),
)


def language(name: str) -> str | None:
    known = format_of(name)
    return known.language if known else None


def test_there_are_many_languages_and_a_suffix_belongs_to_one() -> None:
    suffixes = [suffix for suffixes in SOURCE_CODE.values() for suffix in suffixes]
    assert len(suffixes) == len(set(suffixes))
    assert len(SOURCE_CODE) >= 80
    assert all(READERS[suffix].module == PLAIN for suffix in suffixes)
    assert not set(TEMPLATES) & set(suffixes) - {".j2", ".jinja", ".jinja2"}


@pytest.mark.parametrize("suffix", ONCE_UNSUPPORTED)
def test_plain_text_of_this_suffix_is_read(suffix: str) -> None:
    known = format_of(f"raw/file{suffix}")
    assert known is not None
    assert known.module == PLAIN


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        *((f"raw/{name}", language) for language, names in NAMES.items() for name in names),
        ("raw/README", "und"),
        ("raw/v1.2", "und"),
        ("raw/INSTALL.in", "und"),
        ("raw/config.h.in", "c"),
        ("raw/deploy.yaml.j2", "yaml"),
        ("raw/page.j2", "jinja"),
        ("raw/Makefile.in", "make"),
        ("raw/settings.xyz.in", None),
        ("raw/SETUP.PY", "python"),
        ("raw/a.b/makefile", "make"),
        ("raw/picture.png", None),
    ],
)
def test_a_name_tells(name: str, expected: str | None) -> None:
    assert language(name) == expected


@pytest.mark.parametrize(
    ("beginning", "expected"),
    [
        *(
            (f"#!/usr/bin/{program}\n", name)
            for name, programs in INTERPRETERS.items()
            for program in programs
        ),
        ("#!/usr/bin/env python3.11\n", "python"),
        ("#! /usr/bin/env -S node --flag\n", "javascript"),
        ("#!/bin/sh -e\n", "shell"),
        ("#!/opt/strange\n", ""),
        ("<?php\necho 1;", "php"),
        ("%!PS-Adobe-3.0\n", "postscript"),
        ("# -*- mode: ruby -*-\n", "ruby"),
        ("/* -*- C++ -*- */\n", "c++"),
        ("first\n# vim: set ft=sh :\n", "shell"),
        ("-*- mode: dreams -*-\n", ""),
        ("Some prose about python and php.\n", ""),
        ("", ""),
    ],
)
def test_a_first_line_tells(beginning: str, expected: str) -> None:
    assert of_beginning(beginning) == expected


@pytest.mark.parametrize(
    ("suffix", "beginning", "expected"),
    [
        (".m", "// view\n#import <UIKit/UIKit.h>\n", "objective-c"),
        (".m", "function y = f(x)\n", ""),
        (".v", "Require Import Arith.\n", "coq"),
        (".v", "module counter(input clk);\n", ""),
        (".pl", "father(X, Y) :- parent(X, Y).\n", "prolog"),
        (".pl", "use strict;\n", ""),
        (".h", "namespace here {\n", "c++"),
        (".h", "#include <stdio.h>\nint f(void);\n", ""),
        (".cls", "\\NeedsTeXFormat{LaTeX2e}\n", "tex"),
    ],
)
def test_of_a_suffix_that_languages_share_the_content_tells(
    suffix: str, beginning: str, expected: str
) -> None:
    assert of_beginning(beginning, suffix) == expected


def test_the_reader_says_what_the_name_did_not() -> None:
    (script,) = read(b"#!/bin/sh\necho hello\n", "raw/run")
    assert (script.language, script.media_type) == ("shell", "text/x-shell")
    (code,) = read(b"#!/bin/sh\necho hello\n", "raw/run.py")
    assert (code.language, code.media_type) == ("", "")
    (header,) = read(b"class A {\npublic:\n};\n", "raw/a.h")
    assert header.language == "c++"
