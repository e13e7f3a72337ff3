"""What `ingest` reads, keeps and leaves out: the `ingest` section of params.yaml."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, field_validator, model_validator

from bhasa.documents.cleaning import CleanConfig
from bhasa.documents.filters import Rules
from bhasa.documents.masks import Mask
from bhasa.documents.prose import LANGUAGES
from bhasa.documents.source_configs import SourceConfig
from bhasa.params import Config


class ChatConfig(Config):
    max_pairs: Annotated[int, Field(ge=0)] = 6000
    """Most question and answer pairs made from Python documents; conversations in files are all kept."""
    max_answer_characters: Annotated[int, Field(ge=40)] = 400
    """A longer answer is left out, not cut."""


SplitBy = Literal["document", "folder", "repository"]


class NearDuplicatesConfig(Config):
    """Which texts are so alike that only the first of them is kept."""

    threshold: Annotated[float, Field(ge=0.5, le=1)] = 0.6
    """Least Jaccard similarity of two documents' sets of five words in a row; 0.6 is that of a text to one
    with a word in 18 exchanged, or a quarter of it replaced."""
    most_of_a_source: Annotated[float, Field(gt=0, le=1)] = 0.5
    """The stage stops when a larger share of a source's documents would be lost."""


class IngestConfig(Config):
    sources: Annotated[tuple[SourceConfig, ...], Field(min_length=1)]
    """Where documents come from; of two equal texts the first one listed is kept."""
    min_characters: Annotated[int, Field(ge=1)] = 64
    """A text with fewer characters that are no blanks, after cleaning, is left out."""
    max_file_bytes: Annotated[int, Field(ge=1, le=1 << 29)] = 32 << 20
    """A larger file is left out."""
    validation_fraction: Annotated[float, Field(gt=0, lt=1)] = 0.05
    """Share of the documents held out to choose by; a hash decides each one's side."""
    test_fraction: Annotated[float, Field(gt=0, lt=1)] = 0.05
    """Share of the documents held out to report on."""
    clean: CleanConfig = CleanConfig()
    """Steps of cleaning."""
    mask: tuple[Mask, ...] = ()
    """What is replaced by numbered placeholders."""
    languages: Annotated[tuple[str, ...], Field(min_length=1)] | None = None
    """Codes such as `en` of the natural languages of which prose is kept; null: all, and nobody asks."""
    quality: tuple[Rules, ...] = ()
    """Sets of rules that prose must pass; source code is never judged by them."""
    near_duplicates: NearDuplicatesConfig | None = NearDuplicatesConfig()
    """null: only equal texts count as one."""
    split_by: SplitBy = "document"
    """What is never divided between splits: a document, all of a folder, or all of the first folder below a
    source, as where each holds a repository. What lies in no folder is alone."""
    chat: ChatConfig = ChatConfig()
    mix: dict[str, Annotated[float, Field(ge=0)]] | None = None
    """Weight of each domain in pretraining; null: as much of each as there is. Read by `pretrain` alone."""

    @field_validator("languages")
    @classmethod
    def _know_languages(cls, languages: tuple[str, ...] | None) -> tuple[str, ...] | None:
        for code in languages or ():
            if code not in LANGUAGES.split():
                raise ValueError(f"'{code}' is no code of a language; allowed are {LANGUAGES}")
        return languages

    @model_validator(mode="after")
    def _name_sources_apart(self) -> Self:
        domains = [source.domain for source in self.sources]
        for number, domain in enumerate(domains):
            if domain in domains[:number]:
                raise ValueError(
                    f"sources.{number}: '{domain}' is the name of sources.{domains.index(domain)} too; "
                    "give one of them another `name`"
                )
        return self

    @model_validator(mode="after")
    def _weigh_what_there_is(self) -> Self:
        domains = [source.domain for source in self.sources]
        for domain in self.mix or ():
            if domain not in domains:
                raise ValueError(f"mix.{domain}: no such source; the names are {', '.join(domains)}")
        if self.mix is not None and not any(self.mix.values()):
            raise ValueError("mix: nothing weighs more than 0")
        return self

    @model_validator(mode="after")
    def _leave_some_to_train_on(self) -> Self:
        held_out = self.validation_fraction + self.test_fraction
        if held_out > 0.5:
            raise ValueError(f"validation_fraction + test_fraction is {held_out:g}; allowed is at most 0.5")
        return self
