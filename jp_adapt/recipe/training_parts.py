"""What a training stage of a recipe is made of: which sources, for how long, with which optimizer, LoRA and samples."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, ConfigDict, Field, model_validator

from jp_adapt.benchmarks.part import Name, NotNegative, Part, Positive

MAX_NEW_TOKENS = 10**6

Beta = Annotated[float, Field(ge=0, lt=1)]
_NumberOfTokens = Annotated[int, Field(gt=0, le=MAX_NEW_TOKENS)]
_AUTO = BeforeValidator(lambda value: None if value == "auto" else value, json_schema_input_type=_NumberOfTokens | Literal["auto"])
NewTokens = Annotated[_NumberOfTokens | None, _AUTO]  # None: auto
Rate = Annotated[float, Field(gt=0, le=100)]  # of learning


def _or_name(schema: dict[str, Any]) -> None:
    """Let the JSON Schema of `Weighted` take the bare name of a source, too."""
    weighted = dict(schema)
    schema.clear()
    schema |= {"title": weighted["title"], "description": weighted["description"], "anyOf": [{"type": "string"}, weighted]}


class Weighted(Part):
    """A source and its share of the training tokens (weights are divided by their sum); the name of a source alone has the weight 1."""

    EXAMPLE: ClassVar[str] = "{source: NAME}"
    model_config = ConfigDict(json_schema_extra=_or_name)

    source: Name = Field(description="name of a source of the recipe")
    weight: Positive = Field(1.0, description="share of the tokens, divided by the sum of all weights; of conversations how often an epoch reads the source")

    @model_validator(mode="before")
    @classmethod
    def _bare_name(cls, value: Any) -> Any:
        return {"source": value} if isinstance(value, str) else value


def _or_new_tokens(schema: dict[str, Any]) -> None:
    """Let the JSON Schema of `Phase` take its number alone, too."""
    phase = dict(schema)
    schema.clear()
    schema |= {"title": phase["title"], "description": phase["description"], "anyOf": [*phase["properties"]["new_tokens"]["anyOf"], phase]}


class Budget(Part):
    """How long a training stage runs: `tokens` seen, or `epochs` of the first source (the others follow by weight)."""

    EXAMPLE: ClassVar[str] = "{tokens: 20000}"

    tokens: int | None = Field(None, gt=0, le=10**15, description="tokens that the stage reads, over all sources")
    epochs: float | None = Field(None, gt=0, le=100_000, description="how often the first source is read; of conversations each source, by its weight")

    @model_validator(mode="after")
    def _one(self) -> Budget:
        if (self.tokens is None) == (self.epochs is None):
            raise ValueError("give either 'tokens' or 'epochs'")
        return self


class Phase(Part):
    """New tokens that a pretrain stage works with for a part of its budget: the first so many of the extension, or `all`. A number alone has the share 1."""

    EXAMPLE: ClassVar[str] = "{new_tokens: 400}"
    model_config = ConfigDict(json_schema_extra=_or_new_tokens)

    new_tokens: _NumberOfTokens | Literal["all"] = Field(description="how many of the new tokens, the most useful first")
    share: Positive = Field(1.0, description="share of the budget, divided by the sum over all phases")

    @model_validator(mode="before")
    @classmethod
    def _bare_number(cls, value: Any) -> Any:
        return value if isinstance(value, dict) else {"new_tokens": value}


class Optimizer(Part):
    """AdamW with a schedule. Learning rates are peaks."""

    EXAMPLE: ClassVar[str] = "{lr: 1e-3}"

    lr: Rate = Field(1e-3, description="of LoRA matrices, or of all parameters; of the new rows in a rows stage")
    new_rows_lr: Rate | None = Field(None, description="of the new rows in a pretrain stage; as `lr` by default")
    old_rows_lr: Rate | None = Field(None, description="of the base's own rows where `embeddings: full` trains them; as `lr` by default")
    lora_plus_ratio: float = Field(1.0, ge=1, le=1e6, description="learning rate of LoRA's B matrices over that of A (LoRA+, 2402.12354); 16 is common")
    betas: tuple[Beta, Beta] = Field((0.9, 0.95), strict=False, description="decay of AdamW's two moments")
    eps: Positive = Field(1e-8, description="AdamW's epsilon, of all parameters but the new rows")
    new_rows_eps: NotNegative = Field(
        0.2,
        description="of the new rows, divided by the targets of a step: one that occurs less often in a step than about so often moves less; 0: `eps`",
    )
    new_rows_whitening: bool = Field(
        False,
        description="new head rows learn along what tells contexts apart, and not along the direction that all hidden states share; with new_rows_eps: 0.02",
    )
    shared_rows_lr: Rate | None = Field(
        None,
        description="with new_rows_whitening: learning rate of what new head rows of tokens with like neighbours learn together; each learns alone by default",
    )
    weight_decay: NotNegative = Field(0.0, description="of matrices; new rows and norms are never decayed")
    clip_norm: Positive = Field(1.0, description="largest norm of the gradients of a step; longer ones are scaled down")
    schedule: Literal["cosine", "wsd", "linear"] = Field(
        "cosine", description="course of the learning rate after the warm-up; wsd: constant, then a decay over `decay_share`"
    )
    warmup_share: float = Field(0.05, ge=0, lt=1, description="share of the steps in which the learning rate rises")
    decay_share: float = Field(0.2, gt=0, le=1, description="share of the steps in which wsd decays")
    final_lr_share: float = Field(0.05, ge=0, le=1, description="learning rate of the last step, as a share of the peak")


class Lora(Part):
    """LoRA on all linear layers of the transformer (2106.09685)."""

    EXAMPLE: ClassVar[str] = "{rank: 32}"

    rank: int = Field(32, gt=0, le=2**16, description="rank of the matrices; more learns more and takes more memory")
    alpha: Positive = Field(64.0, description="what the product of the matrices is scaled by, divided by the rank")
    rslora: bool = Field(False, description="scale by alpha / sqrt(rank) instead of alpha / rank (2312.03732)")
    dora: bool = Field(False, description="train the norms of weight rows too (DoRA, 2402.09353); slower, and more memory")
    targets: list[str] | None = Field(None, min_length=1, description="layers that get LoRA, as [q_proj, v_proj]; all linear layers by default")


class TrainingSamples(Part):
    """Greedy continuations of a few prompts while training."""

    EXAMPLE: ClassVar[str] = "{prompts: [TEXT]}"

    prompts: list[str] = Field(min_length=1, description="texts to continue")
    max_chars: int = Field(40, gt=0, le=100_000, description="longest continuation, in characters")
