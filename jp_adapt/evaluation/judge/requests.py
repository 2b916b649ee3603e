"""From items and answers to the requests that a judge gets, and what they will cost."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import permutations
from typing import Any

from jp_adapt.benchmarks.judge import AnswerFormat, JudgePrompt, JudgeTask
from jp_adapt.core.errors import InputError
from jp_adapt.evaluation.judge.answers import Answers, Item

ASCII_CHARS_PER_TOKEN = 4.0
OTHER_CHARS_PER_TOKEN = 1.0  # of Japanese; the tokenizers of current judges take 0.7 to 1.1 tokens a character, so an estimate is rather too high
SHOWN_IDS = 5
REMINDERS: dict[AnswerFormat, str] = {
    "json_grade": '次の形のJSONだけを返してください。ほかの文章や記号は付けないでください。 {{"reason": "(評価内容)", "grade": ({low}から{high}の整数)}}',
    "bracketed_rating": "{low}から{high}の評価を1つだけ、[[評価]]の形で返してください。例：[[{high}]]",
    "lone_grade": "{low}から{high}の整数を1つだけ返してください。ほかの文字は付けないでください。",
    "last_line_choice": "1、2、3のどれか1つの数字だけを返してください。アシスタント1の回答が良ければ1、アシスタント2の回答が良ければ2、選べない場合は3です。",
    "first_line_scores": "Assistant 1と2の点数を、{low}から{high}の数で、空白で区切って1行だけ返してください。",
    "json_scores": '次の形のJSONだけを返してください。 {{"score_gpt": ({low}から{high}の整数), "score": ({low}から{high}の整数)}}',
}


@dataclass(frozen=True)
class Judgement:
    """One thing to be judged: an answer (`models` has one name), or two answers in the order in which they are shown (two names)."""

    models: tuple[str, ...]
    item: str
    category: str
    turn: int
    prompt: str  # name of the prompt
    messages: list[dict[str, str]]
    question: str  # all turns of it
    answers: tuple[str, ...]  # what is judged: the turns of one answer up to this one, or two answers
    settled: float | None = None  # the score of an empty answer, which is not sent
    reference: str = ""  # the turns of a reference answer, where the benchmark has one
    criteria: str = ""  # what the item's answers are graded by
    context: str = ""  # what stands for the item's picture


def build_judgements(task: JudgeTask, items: Sequence[Item], answers: Sequence[Answers]) -> list[Judgement]:
    """Everything that the judge is asked, once for each take. InputError where an answer, a second turn or a reference answer is missing."""
    for entry in answers:
        _check_answers(task, items, entry)
    if task.kind != "pair":
        return [_single(task, item, entry, turn) for entry in answers for item in items for turn in task.turns]
    if len(answers) < 2:
        raise InputError(f"{task.benchmark} compares answers of two models at a time; give the answers of at least two")
    return [_pair(task, item, first, second) for item in items for first, second in permutations(answers, 2)]


def estimate_tokens(judgements: Sequence[Judgement], typical_output_chars: int) -> tuple[int, int]:
    """(tokens in, tokens out) that one take will use, from the numbers of characters: an estimate, for the judge's tokenizer is not known here."""
    asked = [entry for entry in judgements if entry.settled is None]
    texts = (message["content"] for entry in asked for message in entry.messages)
    return round(sum(map(_tokens, texts))), round(len(asked) * typical_output_chars / OTHER_CHARS_PER_TOKEN)


def request_body(task: JudgeTask, judgement: Judgement) -> dict[str, Any]:
    """The chat request without the name of the model."""
    body: dict[str, Any] = {"messages": judgement.messages, "temperature": task.temperature, "max_tokens": task.max_tokens}
    return body | ({"response_format": {"type": task.response_format}} if task.response_format else {})


def ask_again(task: JudgeTask, body: dict[str, Any], said: str, attempt: int) -> dict[str, Any]:
    """The request after one whose verdict could not be read: first the judge is shown what it said and asked for the form alone, then asked anew with the form
    named once more. The same request again would give the same answer at temperature 0."""
    scale = task.scale or (1, 3)
    reminder = REMINDERS[task.answer_format].format(low=scale[0], high=scale[1])
    messages = list(body["messages"])
    if attempt == 2 and said.strip():
        messages += [{"role": "assistant", "content": said}, {"role": "user", "content": f"判定を読み取れませんでした。{reminder}"}]
    else:
        messages[-1] = {"role": "user", "content": f"{messages[-1]['content'].rstrip()}\n\n[注意]\n{reminder}"}
    return body | {"messages": messages}


def _check_answers(task: JudgeTask, items: Sequence[Item], answers: Answers) -> None:
    turns = max(task.turns)
    missing = [item.id for item in items if item.id not in answers.turns]
    unknown = sorted(answers.turns.keys() - {item.id for item in items})
    short = [item.id for item in items if item.id in answers.turns and len(answers.turns[item.id]) < turns]
    for ids, what in ((missing, "have no answer"), (unknown, f"are no items of {task.benchmark}"), (short, f"have fewer than {turns} turns")):
        if ids:
            more = ", ..." if len(ids) > SHOWN_IDS else ""
            raise InputError(f"{answers.path}: {len(ids)} items {what} (ids {', '.join(ids[:SHOWN_IDS])}{more})")


def _single(task: JudgeTask, item: Item, answers: Answers, turn: int) -> Judgement:
    prompt = _prompt(task, item, turn)
    given = answers.turns[item.id]
    values = _values(item, prompt) | {f"answer_{number}": text for number, text in enumerate(given[:2], start=1)}
    settled = float(task.empty_answer) if task.empty_answer is not None and not given[turn - 1].strip() else None
    question = "\n\n".join(item.turns)
    judgement = Judgement((answers.model,), item.id, item.category, turn, prompt.name, prompt.messages(values), question, given[:turn], settled)
    return replace(judgement, reference="\n\n".join(item.reference), criteria=item.criteria, context=item.context)


def _pair(task: JudgeTask, item: Item, first: Answers, second: Answers) -> Judgement:
    prompt = _prompt(task, item, 1)
    values = _values(item, prompt) | {"answer_a": first.turns[item.id][0], "answer_b": second.turns[item.id][0]}
    shown = (values["answer_a"], values["answer_b"])
    return Judgement((first.model, second.model), item.id, item.category, 1, prompt.name, prompt.messages(values), item.turns[0], shown)


def _prompt(task: JudgeTask, item: Item, turn: int) -> JudgePrompt:
    prompt = task.prompt_for(turn, item.category)
    if prompt is None:
        raise InputError(f"{task.benchmark}: no prompt for turn {turn} of category '{item.category}' (item {item.id})")
    return prompt


def _values(item: Item, prompt: JudgePrompt) -> dict[str, str]:
    """The slots of a prompt that do not depend on the answers."""
    values = {f"question_{number}": text for number, text in enumerate(item.turns, start=1)}
    values |= {f"reference_{number}": text for number, text in enumerate(item.reference, start=1)}
    values |= {"criteria": item.criteria, "context": item.context}
    missing = {slot for slot in prompt.slots() if not slot.startswith("answer_")} - values.keys()
    if missing:
        raise InputError(f"item {item.id}: prompt '{prompt.name}' needs {', '.join(sorted(missing))}, which is missing")
    return values


def _tokens(text: str) -> float:
    plain = sum(char.isascii() for char in text)
    return plain / ASCII_CHARS_PER_TOKEN + (len(text) - plain) / OTHER_CHARS_PER_TOKEN
