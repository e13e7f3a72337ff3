"""Both sides of the files between stages speak of the same columns, roles and names."""

from dataclasses import fields

from bhasa.dataset import ROLES, SPLITS, Document, conversation_file, document_file
from bhasa.documents.tables import SCHEMA
from bhasa.tokens.chat import ROLE_TOKENS
from bhasa.tokens.corpus import DocumentText


def test_the_columns_are_the_fields_of_a_document() -> None:
    names = [field.name for field in fields(Document)]
    assert names == SCHEMA.names
    assert set(DocumentText._fields) <= set(names)


def test_every_role_has_a_token() -> None:
    assert ROLE_TOKENS.keys() == set(ROLES)


def test_the_files_are_named_as_they_are_published() -> None:
    assert [document_file(split, 12) for split in SPLITS] == [
        "train-00012.parquet",
        "validation-00012.parquet",
        "test-00012.parquet",
    ]
    assert conversation_file("train") == "train.jsonl"
