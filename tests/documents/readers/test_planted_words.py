"""What a person sees in a file of data comes out, once and in order."""

import csv
import io
import json
import re

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bhasa.documents.readers import READERS
from bhasa.documents.records import Conversation, Preference, Record, Text

WORDS = [f"planted{n:02d}" for n in range(1, 8)]


def found(suffix: str, content: bytes | str) -> list[str]:
    content = content.encode() if isinstance(content, str) else content
    records = READERS[suffix].read(content, "file" + suffix)
    return re.findall(r"planted\w+", "\n".join(map(said, records)))


def said(record: Record | object) -> str:
    match record:
        case Text():
            return record.text
        case Conversation():
            return "\n".join(text for _, text in record.messages)
        case Preference():
            turns = [*record.prompt, *record.chosen, *record.rejected]
            return "\n".join(text for _, text in turns)
    raise AssertionError(record)


A, B, C, D, E, F, G = WORDS
TABLE = [[A, B], [C, f"{D}, {E}"], [f"{F}\n{G}", ""]]


def written(delimiter: str) -> str:
    stream = io.StringIO()
    csv.writer(stream, delimiter=delimiter).writerows(TABLE)
    return stream.getvalue()


def excel() -> bytes:
    stream = io.BytesIO()
    with pd.ExcelWriter(stream) as writer:
        pd.DataFrame([[C]], columns=[B]).to_excel(writer, sheet_name=A, index=False)
        pd.DataFrame([[F], [G]], columns=[E]).to_excel(writer, sheet_name=D, index=False)
    return stream.getvalue()


def parquet() -> bytes:
    stream = io.BytesIO()
    pd.DataFrame({A: [C], B: [{D: [E, F], "key": G}]}).to_parquet(stream)
    return stream.getvalue()


CASES = [
    (".json", json.dumps({A: [B, {C: D}], E: None, F: G})),
    (".json", json.dumps([{"prompt": A, "completion": B}, {"text": f"{C} {D}"}, {"text": f"{E} {F} {G}"}])),
    (".jsonl", "\n".join(json.dumps({"text": word}) for word in WORDS)),
    (
        ".jsonl",
        json.dumps({"system": A, "history": [[B, C]], "instruction": D, "input": E, "output": f"{F} {G}"}),
    ),
    (".jsonl", json.dumps({"prompt": f"{A} {B}", "chosen": f"{C} {D}", "rejected": f"{E} {F} {G}"})),
    (
        ".jsonl",
        json.dumps(
            {
                "messages": [
                    {"role": "developer", "content": A},
                    {"role": "user", "content": [{"type": "text", "text": B}]},
                    {"role": "assistant", "tool_calls": [{"function": {"name": C, "arguments": {"key": D}}}]},
                    {"role": "tool", "content": E},
                    {"role": "assistant", "content": f"{F} {G}"},
                ]
            }
        ),
    ),
    (".csv", written(",")),
    (".csv", written(";")),
    (".tsv", written("\t")),
    (".csv", f"id,text\n1,{A} {B} {C}\n2,{D} {E}\n3,{F} {G}\n"),
    (".xlsx", excel()),
    (".parquet", parquet()),
    (".xml", f"<book><title>{A}</title><p>{B} <b>{C}</b>, {D}</p><l><i>{E}</i></l><p>{F} {G}</p></book>"),
    (".xml", f'<conf {A}="{B}"><!-- {C} --><b c="{D}">{E}</b><d e="{F}"/><f><![CDATA[{G}]]></f></conf>'),
    (".yaml", f"# {A}\n{B}: &anchor {C}\n{D}: *anchor\n{E}: |\n  {F}\n---\n- !!python/name:{G}\n"),
    (".toml", f'# {A}\n[{B}]\n{C} = "{D}"\n{E} = ["{F}", \'{G}\']\n'),
    (".ini", f"; {A}\n[{B}]\n{C} = {D} {E}\n{F}={G}\n"),
    (".properties", f"# {A}\n{B}.{C}={D}\n! {E}\n{F} : {G}\n"),
    (".env", f"# {A}\nexport {B}={C}\n{D}='{E} {F}' # {G}\n"),
]


@pytest.mark.parametrize(("suffix", "content"), CASES)
def test_every_planted_word_comes_out_once_and_in_order(suffix: str, content: str | bytes) -> None:
    assert found(suffix, content) == WORDS


CELLS = st.text(alphabet="ab1,;\t|\"'\n\r \u00e9\u4e2d=", max_size=5)


@settings(max_examples=40)
@given(
    st.lists(st.tuples(CELLS, CELLS), min_size=1, max_size=5), st.sampled_from([".csv", ".xlsx", ".parquet"])
)
def test_every_cell_of_any_table_comes_out_once_and_in_order(
    cells: list[tuple[str, str]], suffix: str
) -> None:
    rows = [[f"planted{n}a{{{one}}}", f"planted{n}b{{{two}}}"] for n, (one, two) in enumerate(cells)]
    frame, stream = pd.DataFrame(rows, columns=["planted_a", "planted_b"]), io.BytesIO()
    match suffix:
        case ".csv":
            frame.to_csv(stream, index=False)
        case ".xlsx":
            frame.to_excel(stream, index=False)
        case ".parquet":
            frame.to_parquet(stream, index=False)
    names = [name for n in range(len(cells)) for name in (f"planted{n}a", f"planted{n}b")]
    assert found(suffix, stream.getvalue()) == ["planted_a", "planted_b", *names]
