"""What a benchmark declaration (`eval/*/*.yaml`) may say: where its items lie, what they hold, and how each protocol asks and scores them."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, JsonValue, model_validator

from jp_adapt.benchmarks.haystack import Haystack
from jp_adapt.benchmarks.metrics import METRICS, MetricName
from jp_adapt.benchmarks.part import Count, Licensed, Name, Part
from jp_adapt.benchmarks.profiles import PROFILES, RETIRED, ProfileRules
from jp_adapt.benchmarks.templates import checked_expression, checked_template
from jp_adapt.core.suggest import did_you_mean

Kind = Literal["multiple_choice", "generate", "similarity", "acceptability", "code", "judge"]
Reader = Literal["jsonl", "json", "csv", "tsv", "parquet", "xml", "lines", "python", "haystack"]
Normaliser = Literal["nfkc", "width", "dashes", "brackets", "quotes", "spaces", "case", "punctuation", "units", "number_commas", "kanji_numerals"]
Extract = Literal[
    "strip",
    "first_line",
    "up_to_newline",
    "first_paragraph",
    "first_number",
    "last_number",
    "llm_jp_number",
    "flexeval_number",
    "boxed",
    "after_answer",
    "choice_letter",
    "code_block",
    "last_code_block",
    "lighteval_a_to_d",
    "lighteval_a_to_j",
    "swallow_answer",
    "swallow_japanese",
    "swallow_english",
]
Division = Literal["first-of-picture", "llm-jp-eval", "llm-jp-eval-jcola-out-of-domain", "llm-jp-eval-jmmlu"]

Template = Annotated[str, AfterValidator(checked_template), Field(description="Jinja template over the item's fields")]
Expression = Annotated[str, AfterValidator(checked_expression), Field(description="Jinja expression (no braces) over the record")]


class Join(Part):
    """Other files, whose records are parts of a split's: right answers that lie apart from their questions."""

    files: list[str] = Field(min_length=1, description="paths or patterns, read as those of the split are")
    by: Name = Field(description="field that tells whose part a record is; a record of the split without any part stays as it is")


class Split(Part):
    """Files of one split. Every record also has `_file` (name without suffix), `_index` (position in the split) and `_line`."""

    files: list[str] = Field(min_length=1, description="paths or patterns, relative to the data folder; `archive.zip!member` reads inside a zip")
    reader: Reader = Field(description="how a file becomes records")
    columns: list[str] | None = Field(None, description="names of the columns of a csv or tsv without a header line, or of the files of `lines`")
    rename: dict[str, Name] = Field(default_factory=dict, description="name in the file -> name that templates use, for names with spaces")
    rows: list[str] = Field(default_factory=list, description="keys down to the list of records; what lies above them is merged into each record")
    join: Join | None = Field(None, description="files that hold other parts of the same records")
    haystack: Haystack | None = Field(None, description="what the reader `haystack` makes of the text of all files: needles at known depths")
    where: Expression | None = Field(None, description="keep the records for which this holds")
    first: Count | None = Field(None, description="keep so many records, the first ones")
    sha256: str | None = Field(
        None, pattern=r"^[0-9a-f]{64}$", description="of the file as it is at `revision`; of several, of the lines that `sha256sum FILES` prints for them"
    )

    git_blob: str | None = Field(None, pattern=r"^[0-9a-f]{40}$", description="git's name of the one file at `revision`, where its SHA-256 is not known")

    @model_validator(mode="after")
    def _inside(self) -> Split:
        for file in self.all_files:
            parts = file.partition("!")[0].split("/")
            if file.startswith("/") or ".." in parts:
                raise ValueError(f"files: {file[:80]!r} leads out of the data folder; name what lies in it")
            if parts.count("**") > 1 or any("**" in part and part != "**" for part in parts):
                raise ValueError(f"files: {file[:80]!r}: '**' stands once, and alone between two slashes")
        if (self.reader == "haystack") != (self.haystack is not None):
            raise ValueError("reader haystack needs 'haystack', what is made of the text; other readers have none")
        if self.reader in ("xml", "python") and not self.rows:
            raise ValueError(f"reader {self.reader} needs 'rows': the tag of a record, or the constant and the keys below it")
        if self.git_blob is not None and (self.sha256 is not None or len(self.all_files) > 1 or any(char in self.files[0] for char in "*?[!")):
            raise ValueError("git_blob is of one file, named whole, and stands in the place of sha256")
        if self.join is not None and self.reader in ("lines", "haystack"):
            raise ValueError(f"reader {self.reader} makes its records of all files together; it takes no 'join'")
        return self

    @property
    def pin(self) -> str | None:
        """The hash that the files must have; None where the declaration says none."""
        return self.sha256 or self.git_blob

    @property
    def all_files(self) -> list[str]:
        """Every path or pattern that is read."""
        return [*self.files, *(self.join.files if self.join is not None else ())]


class Data(Part):
    """Where the items are. Without `folder` the files lie beside the declaration; with it, in that folder of `--data DIR`."""

    folder: str | None = Field(None, description="folder of `--data DIR` that holds the upstream repository")
    test: Split = Field(description="records that are measured")
    shots: Split | None = Field(None, description="records that examples are drawn from; never the items themselves")


class Hub(Part):
    """The same data on the Hugging Face hub."""

    dataset: str = Field(description="id of the dataset")
    revision: str | None = Field(None, pattern=r"^[0-9a-f]{40}$", description="commit of the dataset, 40 hex digits")
    note: str = Field("", description="why there is no revision, or how the copy differs")


class Checks(Part):
    """What a program checks of each answer, in place of right answers: instructions that are to be followed."""

    names: Expression = Field(description="gives the names of an item's checks, a list (`jp_adapt.benchmarks.checks` has them)")
    arguments: Expression = Field(description="gives their arguments, a list of names and values for each check in order")


class Shorten(Part):
    """Marks of the articles in a prompt that are cut where it does not fit, as Stability's fork does it with XL-Sum."""

    before: str = Field(min_length=1, description="stands before every article")
    after: str = Field(min_length=1, description="stands behind it")


class Variant(Part):
    """Another wording of a protocol's prompt."""

    description: str | None = Field(None, description="how it differs")
    prompt: Template


class Protocol(Part):
    """How one profile asks and scores."""

    kind: Kind | None = Field(None, description="the benchmark's kind by default")
    shots: int = Field(0, ge=0, le=64, description="examples before each item")
    shots_by_group: bool = Field(False, description="examples come from the item's own group")
    examples: list[dict[str, JsonValue]] = Field(default_factory=list, description="records that are shown as examples, in place of drawn ones")
    division: Division | None = Field(None, description="how a peer divides the data into items and examples, where it does not take the data's own splits")
    stratified: bool = Field(False, description="examples drawn by their right answers, as the profile's harness does it")
    macro: bool | None = Field(None, description="the value is the mean of the groups, where that differs from the benchmark's `macro`")
    description: Template = Field("", description="stands once before everything; sees the number of examples as `_shots`")
    prompt: Template
    target: Template | None = Field(None, description="the answer of an example; by default the right choice, or the first right answer")
    delimiter: str = Field("", description="between prompt and answer, and part of the answer: scored with a choice, left to the model where it writes")
    separator: str = Field("\n\n", description="after each example")
    shot_prompt: Template | None = Field(None, description="the prompt of an example, where it differs")
    choices_prefix: str = Field("", description="stands before each choice")
    choices: list[Template] | None = Field(
        None, description="texts of the choices, where they differ from the benchmark's; a protocol that generates sees them as `options`"
    )
    answers: list[Template] | None = Field(None, description="right answers, where they differ from the benchmark's")
    stop: list[str] = Field(default_factory=list, description="texts that end a generated answer")
    max_chars: Count | None = Field(None, description="budget of a generated answer in characters")
    max_tokens: Count | Literal["longest_answer", "longest_answer_plus_10"] | None = Field(None, description="budget in tokens, where a peer has one")
    shorten: Shorten | None = Field(None, description="articles that are cut after a sentence where the prompt is too long for the model")
    whole_context: bool = Field(False, description="a prompt may take all positions of the model; by default 4,096 tokens at most")
    extract: list[Extract] = Field(default_factory=list, description="what of a generated text is the answer, taken from it as it was written")
    normalise: list[Normaliser] = Field(
        default_factory=list, description="done to extracted answers and right answers, in this order, before they are compared; numbers are read without them"
    )
    metrics: list[MetricName] = Field(min_length=1, description="what is computed; the first is the benchmark's value")
    language: Literal["ja", "en"] | None = Field(None, description="of the answers, where it is not the benchmark's (translation)")
    variants: dict[Name, Variant] = Field(default_factory=dict, description="other wordings, measured too in prompt-set mode")
    note: str = Field("", description="what of the peer could not be reproduced")

    @property
    def primary_metric(self) -> str:
        """The first of the metrics."""
        return self.metrics[0]


class Benchmark(Licensed):
    """A benchmark: items, and the protocols that it can be measured by."""

    format: Literal[1] = Field(description="of the declaration; there is one")
    kind: Kind = Field(description="how an item is answered")
    version: str = Field(description="of the declaration: scores of different versions are not compared")
    title: str = Field(description="what it is, in a line")
    license: str = Field(description="of the data")
    license_note: str = Field("", description="terms that `data fetch` asks to accept")
    source: str = Field(description="address of the upstream repository")
    revision: str | None = Field(None, description="commit of `source` that has this layout")
    hub: Hub | None = Field(None, description="the same data on the hub")
    language: Literal["ja", "en"] = Field(description="of the answers")
    searchable: bool = Field(False, description="its items are there to be searched on (by an evolution), and not to compare models by")
    data: Data = Field(description="where the items are")
    id: Template = "{{ _index }}"
    group: Template = ""
    macro: bool = Field(False, description="the benchmark's value is the mean of its groups, not of its items")
    fields: dict[Name, Template] = Field(default_factory=dict, description="what templates see besides the record itself")
    images: Expression | None = Field(
        None, description="picture of a record, or a list: paths in the data folder, or columns of pictures; templates see them as `image` and `images`"
    )
    choices: list[Template] | Expression | None = Field(None, description="texts of the choices, or an expression that gives them")
    answer: Expression | None = Field(None, description="index of the right choice, or its text")
    answers: list[Template] | Expression | None = Field(None, description="right answers, or an expression that gives them; the first is shown in examples")
    checks: Checks | None = Field(None, description="what a program checks of each answer, in place of right answers")
    scored_by: Expression | None = Field(None, description="what else of a record some metrics need: an object with the names that they ask for")
    turns: Expression | None = Field(None, description="what the user says, turn by turn, in a benchmark for judges")
    test_program: Template | None = Field(None, description="program that runs a generated answer (`generation`) and fails where it is wrong")
    question: Template = Field("{{ question }}", description="the text that tells the item from others: what overlap with a corpus is looked for")
    profiles: dict[Name, ProfileRules] = Field(default_factory=dict, description="profiles of your own -> what they do the same way in every benchmark")
    protocols: dict[Name, Protocol] = Field(min_length=1, description="profile -> how it asks and scores; jp-adapt is the default")

    @model_validator(mode="after")
    def _known_profiles(self) -> Benchmark:
        for profile in self.profiles:
            if profile in PROFILES or profile in RETIRED:
                raise ValueError(f"profiles.{profile}: this name is taken; give yours another one")
        for profile in self.protocols:
            if profile in RETIRED:
                raise ValueError(f"protocols.{profile}: {RETIRED[profile]}")
            if profile not in PROFILES and profile not in self.profiles:
                known = [*PROFILES, *self.profiles]
                raise ValueError(
                    f"protocols.{profile}: no profile '{profile}'{did_you_mean(profile, known)}; declare it in 'profiles', or take one of {', '.join(known)}"
                )
        return self

    @model_validator(mode="after")
    def _consistent(self) -> Benchmark:
        if "jp-adapt" not in self.protocols:
            raise ValueError("'protocols' needs 'jp-adapt', the one that is used by default")
        if self.kind in ("multiple_choice", "acceptability") and (self.choices is None or self.answer is None):
            raise ValueError(f"a {self.kind} benchmark needs 'choices' and 'answer'")
        needed = {"generate": "answers", "similarity": "answers", "code": "test_program", "judge": "turns"}.get(self.kind)
        if self.checks is not None and (self.kind != "generate" or self.answers is not None):
            raise ValueError("'checks' stands in a generate benchmark, in place of 'answers'")
        if needed is not None and getattr(self, needed) is None and self.checks is None:
            raise ValueError(f"a {self.kind} benchmark needs '{needed}'" + (" or 'checks'" if self.kind == "generate" else ""))
        for profile, protocol in self.protocols.items():
            kind = protocol.kind or self.kind
            chosen = kind in ("multiple_choice", "acceptability")
            if any(METRICS[metric].of != "answers" and (METRICS[metric].of == "choices") != chosen for metric in protocol.metrics):
                raise ValueError(f"protocols.{profile}: {kind} is scored by other metrics than {', '.join(protocol.metrics)}")
            if self.scored_by is None and (needing := [metric for metric in protocol.metrics if METRICS[metric].scored_by]):
                raise ValueError(f"protocols.{profile}: {', '.join(needing)}: the benchmark needs 'scored_by', what of a record the answer is scored by")
            if any(METRICS[metric].checks != (self.checks is not None) for metric in protocol.metrics):
                raise ValueError(f"protocols.{profile}: {', '.join(protocol.metrics)}: checks are scored by metrics of their own, and they by no others")
            if not chosen and protocol.max_chars is None and protocol.max_tokens is None:
                raise ValueError(f"protocols.{profile}: a generated answer needs 'max_chars'")
            if protocol.shots and self.data.shots is None and not protocol.examples:
                raise ValueError(f"protocols.{profile}: shots is {protocol.shots}, and data has no 'shots' to draw examples from")
        return self

    def rules(self, profile: str) -> ProfileRules:
        """What a profile that this benchmark has does the same way in every benchmark."""
        return self.profiles.get(profile) or PROFILES[profile]

    def averages_groups(self, protocol: Protocol) -> bool:
        """Whether a protocol's value is the mean of the groups."""
        return self.macro if protocol.macro is None else protocol.macro


class Suite(Part):
    """A list of benchmarks that are run together."""

    format: Literal[1] = Field(description="of the suite; there is one")
    title: str = Field(description="what it is, in a line")
    profile: Name = Field("jp-adapt", description="whose prompts and scorers")
    benchmarks: list[str] = Field(min_length=1, description="names of benchmarks")
