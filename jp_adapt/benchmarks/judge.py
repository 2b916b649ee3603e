"""What a declaration of a judge (`eval/judge/*.yaml`) may say: which prompts, which form of the verdict, which scale."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, model_validator

from jp_adapt.benchmarks.declaration import load_declaration
from jp_adapt.benchmarks.part import Licensed, Part
from jp_adapt.core.errors import UsageError
from jp_adapt.core.shipped import shipped_judges
from jp_adapt.core.suggest import did_you_mean

SLOTS = ("question_1", "question_2", "answer_1", "answer_2", "reference_1", "reference_2", "criteria", "answer_a", "answer_b")
_SLOT = re.compile(r"\{(" + "|".join(SLOTS) + r")\}")
Grade = Annotated[int, Field(ge=-1000, le=1000)]
AnswerFormat = Literal["json_grade", "bracketed_rating", "last_line_choice"]


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
    """The file of the items, relative to the folder of the data, in the layout of its upstream repository."""

    file: str = Field(description="path in the data folder")
    layout: Literal["elyza", "fastchat"] = Field(description="of the file: ELYZA's csv, or FastChat's jsonl")


class JudgeTask(Licensed):
    """How the answers to one benchmark are judged."""

    format: Literal[1] = Field(description="of the declaration; there is one")
    benchmark: str = Field(description="benchmark whose answers are judged")
    version: str = Field(description="of the declaration")
    title: str = Field(description="what it is, in a line")
    license: str = Field(description="of prompts and questions")
    source: str = Field(description="where prompts and questions come from")
    kind: Literal["score", "pair"] = Field(description="score: one answer gets a number; pair: two answers side by side, one wins or it is a tie")
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
        if (self.kind == "score") != (self.scale is not None):
            raise ValueError("'scale' belongs to 'kind: score', and is needed there")
        if (self.kind == "pair") != (self.answer_format == "last_line_choice"):
            raise ValueError("'answer_format: last_line_choice' belongs to 'kind: pair', and the other two to 'kind: score'")
        needed = {"answer_a", "answer_b"} if self.kind == "pair" else {"answer_1"}
        for prompt in self.prompts:
            if missing := needed - prompt.slots():
                raise ValueError(f"prompt '{prompt.name}' never shows {', '.join(f'{{{slot}}}' for slot in sorted(missing))}")
        return self

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
