"""Which programming language a file is in: by its suffix, by its name, by its beginning.

Configuration languages count as such too. The tables are data; `readers/__init__.py` makes formats of them.
"""

from __future__ import annotations

import re

SOURCE_CODE: dict[str, tuple[str, ...]] = {
    "ada": (".adb", ".ads"),
    "agda": (".agda",),
    "apex": (".cls", ".trigger"),
    "assembly": (".asm", ".s"),
    "astro": (".astro",),
    "awk": (".awk",),
    "batch": (".bat", ".cmd"),
    "bazel": (".bazel", ".bzl", ".star"),
    "bibtex": (".bib",),
    "c": (".c", ".h"),
    "c++": (".c++", ".cc", ".cpp", ".cxx", ".h++", ".hh", ".hpp", ".hxx", ".inl", ".ipp", ".tpp"),
    "c#": (".cs", ".csx"),
    "clojure": (".clj", ".cljc", ".cljs", ".edn"),
    "cmake": (".cmake",),
    "cobol": (".cbl", ".cob", ".cpy"),
    "coffeescript": (".coffee",),
    "crystal": (".cr",),
    "css": (".css", ".less", ".sass", ".scss"),
    "cuda": (".cu", ".cuh"),
    "cython": (".pxd", ".pxi", ".pyx"),
    "d": (".d",),
    "dart": (".dart",),
    "diff": (".diff", ".patch"),
    "dot": (".dot", ".gv"),
    "elixir": (".ex", ".exs"),
    "elm": (".elm",),
    "erlang": (".erl", ".hrl"),
    "f#": (".fs", ".fsi", ".fsx"),
    "fish": (".fish",),
    "fortran": (".f", ".f03", ".f08", ".f77", ".f90", ".f95", ".for"),
    "gdscript": (".gd",),
    "gettext": (".po", ".pot"),
    "gleam": (".gleam",),
    "glsl": (".comp", ".frag", ".geom", ".glsl", ".vert"),
    "go": (".go",),
    "gradle": (".gradle",),
    "graphql": (".gql", ".graphql"),
    "groovy": (".groovy",),
    "hack": (".hack",),
    "haskell": (".hs", ".lhs"),
    "haxe": (".hx",),
    "hcl": (".hcl", ".tf", ".tfvars"),
    "hlsl": (".fx", ".hlsl"),
    "idl": (".idl",),
    "idris": (".idr",),
    "ini": (".ini", ".cfg", ".cnf", ".conf", ".desktop", ".env", ".properties"),
    "java": (".java",),
    "javascript": (".cjs", ".js", ".jsx", ".mjs"),
    "jinja": (".j2", ".jinja", ".jinja2"),
    "json": (".geojson", ".json5", ".jsonc", ".jsonld", ".webmanifest"),
    "julia": (".jl",),
    "kotlin": (".kt", ".kts"),
    "lean": (".lean",),
    "lisp": (".el", ".lisp", ".lsp", ".rkt", ".scm", ".ss"),
    "lua": (".lua",),
    "make": (".mak", ".mk"),
    "matlab": (".m",),
    "meson": (".wrap",),
    "metal": (".metal",),
    "nim": (".nim", ".nims"),
    "nix": (".nix",),
    "objective-c": (".mm",),
    "ocaml": (".ml", ".mli", ".mll", ".mly"),
    "odin": (".odin",),
    "opencl": (".opencl",),
    "pascal": (".dpr", ".lpr", ".pas", ".pp"),
    "perl": (".pl", ".pm"),
    "php": (".php", ".phtml"),
    "powershell": (".ps1", ".psd1", ".psm1"),
    "prolog": (".prolog",),
    "protobuf": (".proto",),
    "puppet": (".epp",),
    "purescript": (".purs",),
    "python": (".py", ".pyi", ".pyw"),
    "r": (".r",),
    "ruby": (".gemspec", ".podspec", ".rake", ".rb", ".ru"),
    "rust": (".rs",),
    "sas": (".sas",),
    "scala": (".sbt", ".scala"),
    "shell": (".bash", ".ksh", ".sh", ".zsh"),
    "smalltalk": (".st",),
    "solidity": (".sol",),
    "sql": (".ddl", ".psql", ".sql"),
    "stata": (".ado", ".do"),
    "svelte": (".svelte",),
    "swift": (".swift",),
    "systemverilog": (".sv", ".svh"),
    "tcl": (".tcl",),
    "thrift": (".thrift",),
    "toml": (".lock", ".toml"),
    "typescript": (".cts", ".mts", ".ts", ".tsx"),
    "vala": (".vala",),
    "verilog": (".v", ".vh"),
    "vhdl": (".vhd", ".vhdl"),
    "vim": (".vim",),
    "visual-basic": (".bas", ".vb", ".vba", ".vbs"),
    "vue": (".vue",),
    "webassembly": (".wast", ".wat"),
    "wgsl": (".wgsl",),
    "xml": (".csproj", ".plist", ".pom", ".svg", ".wsdl", ".xsd", ".xsl", ".xslt"),
    "yaml": (".yaml", ".yml"),
    "zig": (".zig",),
}

NAMES: dict[str, tuple[str, ...]] = {
    "bazel": ("BUILD", "WORKSPACE"),
    "cmake": ("CMakeLists.txt",),
    "docker": ("Containerfile", "Dockerfile"),
    "go": ("go.mod", "go.sum"),
    "groovy": ("Jenkinsfile",),
    "json": ("Pipfile.lock", "composer.lock", "flake.lock"),
    "just": ("justfile",),
    "make": ("GNUmakefile", "Kbuild", "Makefile", "Makefile.am"),
    "meson": ("meson.build", "meson_options.txt"),
    "pip-requirements": ("constraints.txt", "requirements.txt"),
    "procfile": ("Procfile",),
    "python": ("SConscript", "SConstruct", "wscript"),
    "ruby": (
        *("Appraisals", "Brewfile", "Capfile", "Fastfile", "Gemfile", "Gemfile.lock", "Guardfile"),
        *("Podfile", "Rakefile", "Vagrantfile"),
    ),
    "starlark": ("Tiltfile",),
    "toml": ("Pipfile",),
    "yaml": ("yarn.lock",),
}
"""Whatever their case."""

INTERPRETERS: dict[str, tuple[str, ...]] = {
    "awk": ("awk", "gawk", "mawk"),
    "erlang": ("escript",),
    "fish": ("fish",),
    "groovy": ("groovy",),
    "javascript": ("bun", "deno", "node", "nodejs"),
    "julia": ("julia",),
    "lisp": ("guile", "racket", "sbcl"),
    "lua": ("lua", "luajit"),
    "make": ("make",),
    "nix": ("nix-shell",),
    "ocaml": ("ocaml",),
    "perl": ("perl",),
    "php": ("php",),
    "powershell": ("pwsh",),
    "python": ("pypy", "python"),
    "r": ("Rscript",),
    "ruby": ("ruby",),
    "shell": ("ash", "bash", "dash", "ksh", "sh", "zsh"),
    "swift": ("swift",),
    "tcl": ("expect", "tclsh", "wish"),
}
"""The program that a first line such as `#!/usr/bin/env python3` names, without the version."""

TEMPLATES = (".dist", ".example", ".in", ".j2", ".jinja", ".jinja2", ".sample", ".template", ".tmpl", ".tpl")
"""Suffixes of what is filled in later: the name without it says what it is, as in `config.h.in`."""

# What a suffix alone does not tell: the first rule that fits the beginning, else what the table above says.
SHARED: dict[str, tuple[tuple[re.Pattern[str], str], ...]] = {
    ".cls": ((re.compile(r"^\s*(?:%|\\(?:NeedsTeXFormat|Provides))", re.M), "tex"),),
    ".fs": ((re.compile(r"^\s*#version|\bgl_FragColor\b", re.M), "glsl"),),
    ".h": (
        (re.compile(r"^\s*@(?:interface|protocol|class)\b", re.M), "objective-c"),
        (re.compile(r"^\s*(?:class \w|namespace \w|template\s*<|public:|using \w)", re.M), "c++"),
    ),
    ".m": (
        (
            re.compile(r"^\s*(?:@(?:interface|implementation|import)\b|#(?:import|include)\b)", re.M),
            "objective-c",
        ),
    ),
    ".pl": ((re.compile(r"^:- |^\w+\(.*\) :-", re.M), "prolog"),),
    ".pp": ((re.compile(r"^\s*(?:class|define|node) .*\{\s*$", re.M), "puppet"),),
    ".v": (
        (re.compile(r"^\s*(?:Require Import|From \w+ Require|Theorem|Lemma|Proof\b|Inductive)", re.M), "coq"),
        (re.compile(r"^\s*(?:pub )?fn \w+\(", re.M), "v"),
    ),
}
BEGINNING = 8_000  # characters

SHEBANG = re.compile(r"#!\s*\S*?/?(?:env\s+(?:-S\s+)?(?:\w+=\S*\s+)*)?([A-Za-z-]+)[\d.]*(?:\s|$)")
MODE = re.compile(
    r"-\*-\s*(?:.*\bmode:\s*)?([\w+#-]+)\s*(?:;.*)?-\*-|\bvim?:.*\b(?:ft|filetype|syntax)=(\w+)"
)
OPENINGS = (
    (re.compile(r"<\?php\b"), "php"),
    (re.compile(r"<\?xml\b"), "xml"),
    (re.compile(r"%!PS\b"), "postscript"),
)
ALIASES = {
    "cpp": "c++",
    "emacs-lisp": "lisp",
    "makefile": "make",
    "sh": "shell",
    "bash": "shell",
    "js": "javascript",
}

BY_NAME = {name.lower(): language for language, names in NAMES.items() for name in names}
BY_INTERPRETER = {name: language for language, names in INTERPRETERS.items() for name in names}
KNOWN = {*SOURCE_CODE, *NAMES, *INTERPRETERS, "objective-c", "coq", "tex"}


def of_beginning(text: str, suffix: str = "") -> str:
    """The language that the beginning of a text tells, or nothing."""
    beginning = text[:BEGINNING]
    for pattern, language in SHARED.get(suffix, ()):
        if pattern.search(beginning):
            return language
    return "" if suffix in SHARED else _of_first_lines(beginning)


def _of_first_lines(beginning: str) -> str:
    for pattern, language in OPENINGS:
        if pattern.match(beginning):
            return language
    if shebang := SHEBANG.match(beginning):
        return BY_INTERPRETER.get(shebang[1], "")
    for line in beginning.split("\n", 2)[:2]:
        if mode := MODE.search(line[:200]):
            name = (mode[1] or mode[2]).lower()
            name = ALIASES.get(name, name)
            return name if name in KNOWN else ""
    return ""
