"""What a declaration of a judge (`eval/judge/*.yaml`) may say: which prompts, which form of the verdict, which scale."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, model_validator

from jp_adapt.benchmarks.declaration import load_declaration
from jp_adapt.benchmarks.part import Licensed, Name, Part
from jp_adapt.core.errors import UsageError
from jp_adapt.core.shipped import shipped_judges
from jp_adapt.core.suggest import did_you_mean

SLOTS = ("question_1", "question_2", "answer_1", "answer_2", "reference_1", "reference_2", "criteria", "context", "answer_a", "answer_b")
_SLOT = re.compile(r"\{(" + "|".join(SLOTS) + r")\}")
Grade = Annotated[int, Field(ge=-1000, le=1000)]
AnswerFormat = Literal["json_grade", "bracketed_rating", "lone_grade", "last_line_choice", "first_line_scores", "json_scores"]
Kind = Literal["score", "pair", "ratio"]
KINDS: dict[AnswerFormat, Kind] = {
    "json_grade": "score",
    "bracketed_rating": "score",
    "lone_grade": "score",
    "last_line_choice": "pair",
    "first_line_scores": "ratio",
    "json_scores": "ratio",
}
SHOWN: dict[Kind, set[str]] = {"score": {"answer_1"}, "pair": {"answer_a", "answer_b"}, "ratio": {"answer_1", "reference_1"}}


class JudgePrompt(Part):
    """One prompt of a judge. {question_1}, {answer_1} and the other slots are filled in; every other brace stays as it is."""

    name: str = Field(description="name of the prompt")
    turn: Literal[1, 2] = Field(description="turn of the conversation that it judges")
    categories: list[str] = Field([], description="categories of items that this prompt is for; none: all those that no other prompt of the turn names")
    system: str = Field("", description="system message")
    user: str = Field(description="user message")

    def slots(self) -> set[str]:
        """The slots that the prompt asks for."""
        return set(_SLOT.findall(self.system + self.user))

    def messages(self, values: Mapping[str, str]) -> list[dict[str, str]]:
        """The chat messages with every slot filled, in one pass: a slot's name inside an answer stays text."""
        filled = [(role, _SLOT.sub(lambda slot: values[slot.group(1)], text)) for role, text in (("system", self.system), ("user", self.user)) if text]
        return [{"role": role, "content": content} for role, content in filled]


class JudgeItems(Part):
    """The file of the items, relative to the folder of the data, in the layout of its upstream repository; or the items of the benchmark itself."""

    file: str | None = Field(None, description="path in the data folder; none with `layout: benchmark`")
    layout: Literal["elyza", "fastchat", "heron", "benchmark"] = Field(
        description="of the file: ELYZA's, FastChat's or Heron-Bench's jsonl; benchmark: question and right answer as `eval` reads them"
    )

    @model_validator(mode="after")
    def _agree(self) -> JudgeItems:
        if (self.layout == "benchmark") != (self.file is None):
            raise ValueError("'file' is needed, but for 'layout: benchmark', which has none")
        return self


class JudgeTask(Licensed):
    """How the answers to one benchmark are judged."""

    format: Literal[1] = Field(description="of the declaration; there is one")
    benchmark: str = Field(description="benchmark whose answers are judged")
    version: str = Field(description="of the declaration")
    title: str = Field(description="what it is, in a line")
    license: str = Field(description="of prompts and questions")
    source: str = Field(description="where prompts and questions come from")
    protocol: Name | None = Field(None, description="whose way of judging it is, where a benchmark has several: part of the names of its scores")
    kind: Kind = Field(
        description="score: one answer gets a number; pair: two answers side by side, one wins or it is a tie; ratio: an answer and a reference answer get a "
        "number each, and the score is the mean over the categories of 100 times the ratio of their means"
    )
    answer_format: AnswerFormat = Field(description="where the verdict stands in a judgement")
    scale: tuple[Grade, Grade] | None = Field(None, strict=False, description="lowest and highest score")
    empty_answer: int | None = Field(None, ge=-1000, le=1000, description="score of an empty answer, which is then not sent to the judge")
    response_format: Literal["json_object"] | None = Field(None, description="what the endpoint is asked for")
    temperature: float = Field(0.0, ge=0, le=100, description="of the judge's answers; 0 takes the most likely token")
    max_tokens: int = Field(gt=0, le=2**20, description="most tokens of a judgement")
    typical_output_chars: int = Field(gt=0, le=10**6, description="characters of a usual judgement, for the estimate of the cost")
    items: JudgeItems = Field(description="the questions")
    references: str | None = Field(None, description="file of reference answers, relative to the folder of the data")
    prompts: list[JudgePrompt] = Field(min_length=1, description="what the judge is asked")

    @model_validator(mode="after")
    def _agree(self) -> JudgeTask:
        if (self.kind == "pair") != (self.scale is None):
            raise ValueError("'scale' belongs to 'kind: score' and 'kind: ratio', and is needed there")
        if (kind := KINDS[self.answer_format]) != self.kind:
            raise ValueError(f"'answer_format: {self.answer_format}' belongs to 'kind: {kind}'")
        if self.kind == "ratio" and (self.references is None or self.empty_answer is not None or (self.scale is not None and self.scale[0] <= 0)):
            raise ValueError("'kind: ratio' needs 'references' and a 'scale' above 0, and sends empty answers: the reference needs a grade beside them")
        if self.kind == "ratio" and self.turns != [1]:
            raise ValueError("'kind: ratio' judges one turn")
        for prompt in self.prompts:
            if missing := SHOWN[self.kind] - prompt.slots():
                raise ValueError(f"prompt '{prompt.name}' never shows {', '.join(f'{{{slot}}}' for slot in sorted(missing))}")
        return self

    @property
    def profile(self) -> str:
        """What stands in the names of scores for the way of judging."""
        return f"judge-{self.protocol}" if self.protocol else "judge"

    @property
    def turns(self) -> list[int]:
        """The turns that are judged."""
        return sorted({prompt.turn for prompt in self.prompts})

    def prompt_for(self, turn: int, category: str) -> JudgePrompt | None:
        """The prompt of a turn: the one that names the category, or the one for all others."""
        own = [prompt for prompt in self.prompts if prompt.turn == turn]
        return next((p for p in own if category in p.categories), next((p for p in own if not p.categories), None))


def load_judge_task(name: str) -> tuple[JudgeTask, Path]:
    """The judge of a benchmark by its id ("ja/japanese-mt-bench", or its end: "mt-bench"), or a declaration file by path. UsageError with file:line."""
    shipped = shipped_judges()
    key = name.removeprefix("ja/")
    ending = [known for known in shipped if known == key or known.endswith(f"-{key}")]
    path = shipped[ending[0]] if len(ending) == 1 else Path(name)
    if not path.is_file():
        near = did_you_mean(key, shipped)
        raise UsageError(f"no judge for '{name}'{near}; there is one for: {', '.join(f'ja/{known}' for known in shipped) or 'nothing'}, or give a file")
    return load_declaration(path, JudgeTask), path
