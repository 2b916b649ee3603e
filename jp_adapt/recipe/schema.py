"""What a recipe may say. Defaults live here and in the parts that it imports, and nowhere else."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Annotated, ClassVar, Literal, get_args

from pydantic import Field, model_validator

from jp_adapt.benchmarks.part import Count, Licensed, Name, Part, Positive, Seed
from jp_adapt.core.yaml_lines import Key
from jp_adapt.model.gguf_names import K_TYPES, GgufType
from jp_adapt.recipe.evolve import EvolveSettings, evolve_findings
from jp_adapt.recipe.merge import MergeModel, MergeSettings, findings
from jp_adapt.recipe.training_parts import Budget, Lora, NewTokens, Optimizer, Phase, Rate, TrainingSamples, Weighted

MAX_TOKEN_CHARS = 1_000

Share = Annotated[float, Field(gt=0, le=1)]


class Base(Part):
    """The model to adapt: a file of an installed package, a local GGUF file, a local folder, or a hub id with its revision."""

    EXAMPLE: ClassVar[str] = "{path: FOLDER}"

    package: str | None = Field(None, description="installed package that carries `file`, a GGUF; the package is not imported")
    version: str | None = Field(None, description="version that the package must have")
    file: str | None = Field(None, description="GGUF file: inside `package`, or a local path")
    path: str | None = Field(None, description="local folder of a Hugging Face model (safetensors)")
    model: str | None = Field(None, description="hub id")
    revision: str | None = Field(
        None,
        pattern=r"^[\w][\w./-]*$",
        description="commit of the hub repository, 40 hex digits; a branch or tag (main by default) is looked up when a run begins, which keeps to it",
    )
    sha256: str | None = Field(None, pattern=r"^[0-9a-f]{64}$", description="hash that `file` must have")
    document_start: str | None = Field(
        None, description="token before every document; by default the tokenizer's BOS, or without one the token that ends documents"
    )
    document_end: str | None = Field(
        None, description="token that ends every document; by default the tokenizer's EOS, or where that ends a turn of a chat, its token for the end of a text"
    )

    @model_validator(mode="after")
    def _one_way(self) -> Base:
        ways = [way for way in ("path", "model") if getattr(self, way) is not None]
        ways += ["file"] if self.file is not None else []
        if len(ways) != 1:
            raise ValueError("name one base: 'package' with 'file', 'file' alone, 'path', or 'model' with 'revision'")
        if self.package is not None and self.file is None:
            raise ValueError("'package' needs 'file', the GGUF inside it")
        return self


class Source(Licensed):
    """A text: one document a line in .jsonl or a row in .parquet or .csv, or one document a file in .txt (all but .parquet also as .gz, .zst and .xz).

    Or the folder of a corpus that `jp-adapt corpus prepare` wrote: a training stage reads its tokens, mixed as the corpus recipe says.
    """

    EXAMPLE: ClassVar[str] = "{path: FILE, language: ja}"

    path: str = Field("", description="relative to the recipe's own file; a recipe may leave it for its user to give, who sees then what `bring` says")
    bring: str = Field("", description="what text to bring where the recipe has no `path`")
    language: Literal["ja", "en", "code"] = Field(description="of the text: ja is reported in bits per character too; code is checked as English is")
    license: str = Field("private", description="under which license the text is; model cards name it")
    format: Literal["text", "chat", "preference"] = Field(
        "text",
        description="chat: a .jsonl of conversations (messages, ShareGPT's conversations, Alpaca's fields); preference: one of prompt, chosen and rejected",
    )
    field: str = Field("text", description="the field of a .jsonl line or a .parquet row that holds the text")
    heldout: Share | None = Field(
        None,
        description="share of the documents that no stage trains on, chosen by their text: `heldout` and `texts` of a stage read these, `corpus` and `data` "
        "the others. Without it every stage reads all",
    )
    ignore: list[str] = Field(default_factory=list, description="fields of chat and preference rows that are notes, whatever they hold, and are not used")

    @model_validator(mode="after")
    def _some_text(self) -> Source:
        if not self.path and not self.bring:
            raise ValueError("give its 'path' (or, in a recipe for others, say in 'bring' what text they must bring)")
        if self.heldout is not None and (self.heldout == 1 or self.format == "preference"):
            raise ValueError("'heldout' is a share below 1 of texts or conversations; of preferences none are held out")
        return self


class _Stage(Part):
    """What holds for every kind of stage. The facts of a kind stand on its class; `pipeline/stages/kinds.py` names the function that does it."""

    id: Name = Field(description="name of the stage: of its folder in the run, and what later stages start from")

    starts_from: ClassVar[tuple[str, ...]] = ("base",)  # kinds of stage (or "base") that its start may be
    gives: ClassVar[Literal["tokenizer", "adapter", "model", "scores"]]  # what its `final` folder holds
    all_processes: ClassVar[bool] = False  # of several processes all take part, and not the first alone
    extra: ClassVar[str | None] = None  # optional packages that it needs, by the name of the extra

    @property
    def needs(self) -> str | None:
        """The extra that this stage needs, with the settings that it has."""
        return self.extra

    own_tokenizer: ClassVar[bool] = False  # its tokenizer is another one than its start's

    @property
    def starts(self) -> dict[Key, str]:
        """Where it names what it starts from: path of keys -> id of a stage, or "base"."""
        return {("start",): getattr(self, "start", "base")}

    @property
    def upstream(self) -> list[str]:
        """Ids of the stages (or "base") whose results it takes."""
        return list(dict.fromkeys(self.starts.values()))

    @property
    def outside(self) -> dict[Key, str]:
        """Folders of models outside of the run that it reads: path of keys -> folder. Their files are hashed; where they lie makes no difference."""
        return {}

    def findings(self) -> Iterator[tuple[Key, str]]:
        """What its parts do not agree on: (path of keys, message)."""
        return iter(())


class TokenizerStage(_Stage):
    """Extend the base's tokenizer with Japanese tokens."""

    gives: ClassVar[Literal["tokenizer"]] = "tokenizer"
    own_tokenizer: ClassVar[bool] = True

    kind: Literal["tokenizer"]
    start: Literal["base"] = Field("base", description="the tokenizer of the base; there is no other")
    corpus: list[Name] = Field(min_length=1, description="sources of Japanese text that the tokens are learned from")
    unchanged: list[Name] = Field(default_factory=list, description="sources no line of which may change its ids, checked by the gate")
    new_tokens: NewTokens = Field(description="tokens to add behind the base's own; auto: as many as `corpus` can teach")
    min_count: Count | None = Field(None, description="a new token occurs in `corpus` at least this often; by default 2, and 20 with new_tokens: auto")
    max_token_chars: int = Field(12, gt=0, le=MAX_TOKEN_CHARS, description="longest token, in characters")
    boundaries: Literal["none", "phrase", "word"] = Field("none", description="UniDic boundaries that no token may cross, while learning")
    cover: bool = Field(True, description="count everyday characters more often than they occur: they come in even where the corpus lacks them")


class _Training(_Stage):
    gives: ClassVar[Literal["adapter"]] = "adapter"
    all_processes: ClassVar[bool] = True

    start: Name = Field(description="stage (or base) whose model the stage trains")
    data: list[Weighted] = Field(min_length=1, description="sources to train on: names, or {source, weight}")
    budget: Budget = Field(description="how long the stage trains")
    sequence_tokens: int = Field(512, ge=16, le=2**20, description="tokens of a sequence: documents are packed into so many")
    batch_tokens: int = Field(2048, gt=0, le=10**9, description="tokens of a step, over all processes")
    optimizer: Optimizer = Field(Optimizer(), description="AdamW, its learning rates and their schedule")
    micro_batch_rows: Count | None = Field(None, description="rows that go through the model at once; all rows of a step by default. Memory, not result")
    activation_checkpointing: bool = Field(False, description="recompute activations in the backward pass: less memory, about a third slower")
    compile: bool = Field(False, description="torch.compile the transformer")
    loss_kernel: Literal["chunked", "liger", "cut"] = Field(
        "chunked", description="cross-entropy: our own chunks; or, on CUDA, liger-kernel, cut-cross-entropy"
    )
    attention: Literal["auto", "mask", "flex", "varlen"] = Field(
        "auto",
        description="of packed documents: ours on a CPU, torch's SDPA with a mask on a GPU; or, on CUDA, torch's FlexAttention, or its varlen flash attention",
    )
    checkpoint_every: Count = Field(20, description="steps")
    keep_checkpoints: Count = Field(1, description="how many of the last checkpoints are kept while the stage runs")
    spike_factor: float | None = Field(
        None, gt=1, le=1e9, description="where the loss is so many times the median of the last 20 steps: back to the last checkpoint, and on behind that step"
    )
    weights: Literal["last", "best"] = Field("last", description="what the stage hands on; best: by bits per byte of the first held-out source")
    heldout: list[Name] = Field(default_factory=list, description="sources measured while training")
    heldout_chars: Count = Field(2000, description="characters of each held-out source that are measured")
    heldout_every: Count = Field(20, description="steps")
    samples: TrainingSamples | None = Field(None, description="text generated every `heldout_every` steps, into samples.jsonl")


class _Tuning(_Training):
    parameters: Literal["lora", "full"] = Field(
        "lora", description="what trains of the transformer: LoRA beside its frozen weights, or all of them (then keep lr near 1e-5)"
    )
    embeddings: Literal["new_rows", "full"] | None = Field(
        None, description="rows of embedding and head that train: the new tokens', or all. By default new_rows with LoRA, full with `parameters: full`"
    )

    @property
    def trains_all_rows(self) -> bool:
        return (self.embeddings or ("full" if self.parameters == "full" else "new_rows")) == "full"


FIRST_VALUES = "first values of the new rows; calibrated: the mean of their pieces, and the probability that their tokens have in the training text"
RowInit = Literal["calibrated", "mean", "norm_matched", "position_weighted"]


class RowsStage(_Training):
    """Give the new tokens rows: start from the old rows of their pieces, then train the new rows alone, transformer frozen."""

    starts_from: ClassVar[tuple[str, ...]] = ("tokenizer",)

    kind: Literal["rows"]
    init: RowInit = Field("calibrated", description=FIRST_VALUES)


class PretrainStage(_Tuning):
    """Continued pretraining of LoRA (or of all parameters) and, after an extension, of the new rows, which it makes where it starts from a tokenizer."""

    starts_from: ClassVar[tuple[str, ...]] = ("base", "tokenizer", "rows")

    kind: Literal["pretrain"]
    init: RowInit = Field("calibrated", description=f"{FIRST_VALUES}; where the stage starts from a tokenizer")
    lora: Lora = Field(Lora(), description="LoRA of the stage; a start that has LoRA continues with its own")
    grow: list[Phase] | None = Field(
        None,
        min_length=2,
        description="let the new tokens come in little by little, as [400, 1500, all]: each phase reads on with a longer tokenizer. "
        "Where the stage starts from a tokenizer",
    )

    def findings(self) -> Iterator[tuple[Key, str]]:
        sizes = [phase.new_tokens for phase in self.grow or ()]
        for place, (before, after) in enumerate(pairwise(sizes), start=1):
            if before == "all" or (after != "all" and after <= before):
                yield ("grow", place), f"each phase has more new tokens than the one before it, and {after} comes after {before}"
        if self.grow and self.weights == "best":
            yield ("weights",), "the best weights may be those of a phase without all tokens; take weights: best out, or grow"


class SftStage(_Tuning):
    """Instruction tuning on conversations: loss on the answers only. `weight` says how often an epoch reads a source: 1 once, 0.5 half of it, 2 twice."""

    starts_from: ClassVar[tuple[str, ...]] = ("base", "rows", "pretrain", "sft")

    kind: Literal["sft"]
    template: Literal["alpaca-ja", "stable-beluga", "llama2-ja", "llama3", "chatml", "model"] = Field(
        "model", description="chat template; model: the base's own. An export carries it, so that apply_chat_template renders what was trained"
    )
    system: str | None = Field(None, description="system prompt of conversations that have none; that of the published format by default")
    lora: Lora | None = Field(None, description="for a start without LoRA; a start that has LoRA continues with its own")
    too_long: Literal["error", "drop", "cut"] = Field("error", description="what becomes of a conversation longer than sequence_tokens")


class ExportStage(_Stage):
    """Merge into a plain model folder that transformers loads, and write it in other formats beside it."""

    starts_from: ClassVar[tuple[str, ...]] = ("pretrain", "rows", "sft")
    gives: ClassVar[Literal["model"]] = "model"

    kind: Literal["export"]
    start: Name = Field(description="stage whose model is exported")
    dtype: Literal["float32", "bfloat16"] = Field("float32", description="type of the written weights")
    formats: list[Literal["gguf"]] = Field(
        default_factory=list, description="formats beside the folder's own; gguf: files of `gguf_types` in the folder, for llama.cpp"
    )
    gguf_types: list[GgufType] = Field(
        ["auto"], min_length=1, description="auto is BF16 for bfloat16 weights, else F16; Q6_K, Q5_K_M and Q4_K_M need jp-adapt[gguf]"
    )

    @property
    def needs(self) -> str | None:
        return "gguf" if self.formats and not K_TYPES.isdisjoint(self.gguf_types) else None

    @model_validator(mode="after")
    def _types_of_a_format(self) -> ExportStage:
        if self.gguf_types != ["auto"] and "gguf" not in self.formats:  # the default stands written out in the resolved recipe of a run
            raise ValueError("gguf_types is of no use without formats: [gguf]")
        return self


class StageModel(MergeModel):
    """A model of a merge stage: what an earlier stage made, or a folder."""

    start: Name | None = Field(None, description="stage (or 'base') whose model or adapter it is, in place of `path`")


class _Merging(_Stage, MergeSettings):
    starts_from: ClassVar[tuple[str, ...]] = ("base", "rows", "pretrain", "export", "preference", "merge", "evolve")
    gives: ClassVar[Literal["model"]] = "model"
    own_tokenizer: ClassVar[bool] = True

    models: dict[Name, StageModel] = Field(min_length=1, description="name -> model: a stage of the run, or a folder")

    @property
    def starts(self) -> dict[Key, str]:
        return {("models", name, "start"): model.start for name, model in self.models.items() if model.start is not None}

    @property
    def upstream(self) -> list[str]:
        return list(dict.fromkeys(["base", *self.starts.values()]))  # adapters belong to the base

    @property
    def outside(self) -> dict[Key, str]:
        places = {("models", name, key): getattr(model, key) for name, model in self.models.items() for key in ("path", "adapter")}
        return {place: folder for place, folder in places.items() if folder is not None}

    def findings(self) -> Iterator[tuple[Key, str]]:
        for name, model in self.models.items():
            if (model.start is None) == (model.path is None and model.adapter is None):
                yield ("models", name), f"'{name}' needs a 'start', the stage that made it, or the 'path' of a model folder (an 'adapter' alone is on the base)"
        yield from self._own_findings()

    def _own_findings(self) -> Iterator[tuple[Key, str]]:
        return findings(self, self.models)


class MergeStage(_Merging):
    """Merge several models into a plain model folder: what earlier stages made, and folders."""

    kind: Literal["merge"]


class EvolveStage(_Merging, EvolveSettings):
    """Search for the weights and densities of a merge by gradient descent and CMA-ES, and merge with the best ones into a plain model folder."""

    kind: Literal["evolve"]

    def _own_findings(self) -> Iterator[tuple[Key, str]]:
        return evolve_findings(self, self.models)


class PreferenceStage(_Stage):
    """Direct preference optimization (DPO, 2305.18290) by TRL: LoRA on a plain model with a chat template; the result is a plain model folder again.

    Needs TRL: pip install 'jp-adapt[preference]'.
    """

    starts_from: ClassVar[tuple[str, ...]] = ("base", "export", "preference", "merge", "evolve")
    gives: ClassVar[Literal["model"]] = "model"
    all_processes: ClassVar[bool] = True
    extra: ClassVar[str | None] = "preference"

    kind: Literal["preference"]
    start: Name = Field(description="stage (or base) whose model the stage trains")
    pairs: list[Name] = Field(min_length=1, description="sources of format preference")
    epochs: float = Field(1.0, gt=0, le=100_000, description="how often every pair is read")
    beta: Positive = Field(0.1, description="how strongly the model is held to its start")
    loss: Literal["sigmoid", "ipo", "hinge", "robust"] = Field("sigmoid", description="loss of TRL; sigmoid is DPO as published")
    batch_pairs: int = Field(8, gt=0, le=10**6, description="pairs of a step, over all processes")
    max_tokens: int = Field(1024, gt=0, le=2**20, description="of prompt and answer; longer ones are cut by TRL")
    lr: Rate = Field(5e-5, description="peak of the learning rate of LoRA")
    warmup_share: float = Field(0.1, ge=0, lt=1, description="share of the steps in which the learning rate rises")
    lora: Lora = Field(Lora(), description="LoRA of the stage")
    checkpoint_every: Count = Field(50, description="steps")


class Samples(Part):
    """Greedy continuations of a few prompts, before and after."""

    EXAMPLE: ClassVar[str] = "{prompts: [TEXT]}"

    prompts: list[str] = Field(min_length=1, description="texts to continue")
    max_chars: int = Field(80, gt=0, le=100_000, description="longest continuation, in characters")
    repetition_penalty: float = Field(
        1.3, ge=1, le=1e6, description="divides the scores of tokens already used (1909.05858); 1 is plain greedy, which loops in a small model"
    )


class EvaluateStage(_Stage):
    """Score models: bits per byte and character of texts, benchmarks, samples. The first model is the one that others are compared with."""

    gives: ClassVar[Literal["scores"]] = "scores"

    kind: Literal["evaluate"]
    models: list[Name] = Field(
        min_length=1,
        max_length=2,
        description="what is scored: base, or stages that give a model (export, merge, evolve, preference); the second is compared with the first",
    )
    texts: list[Name] = Field(default_factory=list, description="sources of text to measure in bits per byte and character")
    suite: str | None = Field(None, description="suite of benchmarks, in place of `benchmarks`")
    benchmarks: list[str] = Field(default_factory=list, description="by name, or the path of a declaration")
    data: str | None = Field(None, description="folder that holds the upstream repositories of the benchmarks whose data is not shipped")
    profile: str | None = Field(None, description="whose prompts and scorers; the suite's by default, else jp-adapt")
    shots: int | None = Field(None, ge=0, le=64, description="examples before each item; each protocol's own by default")
    limit: Count | None = Field(None, description="measure a sample of so many items of each benchmark, the same for every model")
    segment: list[str] = Field(default_factory=list, description="sentences whose segmentation the report shows")
    samples: Samples | None = Field(None, description="continuations that the report shows side by side")

    @property
    def starts(self) -> dict[Key, str]:
        return {("models", position): model for position, model in enumerate(self.models)}

    @model_validator(mode="after")
    def _one_choice(self) -> EvaluateStage:
        if self.suite is not None and self.benchmarks:
            raise ValueError("'suite' and 'benchmarks' both say what to measure; give one of them")
        return self


Stage = Annotated[
    TokenizerStage | RowsStage | PretrainStage | SftStage | ExportStage | MergeStage | EvolveStage | PreferenceStage | EvaluateStage,
    Field(discriminator="kind"),
]
TrainingStage = RowsStage | PretrainStage | SftStage
STAGES: dict[str, type[Stage]] = {get_args(kind.model_fields["kind"].annotation)[0]: kind for kind in get_args(get_args(Stage)[0])}


class Recipe(Part):
    """A whole recipe."""

    format: Literal[1] = Field(1, description="of the recipe; there is one")
    name: Name = Field(description="name of the recipe; runs lie in runs/NAME")
    title: str = Field("", description="what the report is called")
    untested: bool = Field(False, description="nobody has run this recipe at its size yet, and `list`, `check` and `run` say so")
    plugins: list[Name] = Field(default_factory=list, description="installed plugins that the recipe uses, by their entry points in `jp_adapt.plugins`")
    base: Base = Field(description="the model to adapt")
    seed: Seed = Field(1234, description="of everything that is drawn at random")
    precision: Literal["auto", "float32", "bfloat16", "float16"] = Field(
        "auto", description="auto: bfloat16 where the device computes it fast, else float32; an evolution measures in float32 then"
    )
    quantization: Literal["nf4"] | None = Field(
        None, description="nf4: linear layers of the frozen transformer in 4 bits (QLoRA, 2305.14314); needs bitsandbytes: pip install 'jp-adapt[qlora]'"
    )
    distributed: Literal["ddp", "fsdp", "deepspeed"] = Field(
        "ddp",
        description="how several processes train: each holds the whole model (ddp), or a part of it (fsdp, FSDP2), or what the JSON of `deepspeed` says. "
        "Memory, not result",
    )
    deepspeed: str | None = Field(None, description="DeepSpeed's JSON, for distributed: deepspeed; needs it installed: pip install 'jp-adapt[deepspeed]'")
    sources: dict[Name, Source] = Field(default_factory=dict, description="name -> text, conversations or preferences that stages read")
    control: str | None = Field(
        None,
        description="another run, its folder or its report/summary.json, whose figures stand beside this run's in the report: such as one that trained as long "
        "with the base's own tokenizer",
    )
    stages: list[Stage] = Field(min_length=1, description="what is done, in this order")
