"""What an sft stage needs beside other training: its chat template, its samples, and the loss on held-out answers."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jp_adapt.core.errors import InputError
from jp_adapt.core.files import read_json, write_json, write_text
from jp_adapt.core.progress import say
from jp_adapt.corpus.conversations import ConversationEncoder, ConversationPlan, Sample, fit_length, plan_conversations, read_conversations
from jp_adapt.recipe.schema import SftStage, Stage
from jp_adapt.text.chat import TEMPLATES, Message, with_defaults
from jp_adapt.tokenizer.encoder import encoder, plain_tokenizer

if TYPE_CHECKING:
    from jp_adapt.model.causal import CausalModel
    from jp_adapt.pipeline.stages.context import Context

CHAT_TEMPLATE = "chat_template.jinja"
TEMPLATE_DATE = "26 Jul 2024"  # Llama-3.1's template writes a date into the system prompt, today's unless told otherwise; this is the one it falls back to


@dataclass(frozen=True)
class Chat:
    """A template ready to use: its Jinja text, the encoder of conversations, and the id that ends an answer."""

    jinja: str
    encoder: ConversationEncoder


def load_chat(stage: SftStage, context: Context) -> Chat:
    """The stage's template with the tokens of its tokenizer. InputError where the tokenizer lacks one, or the base has no template of its own."""
    folder = context.tokenizer_folder(stage.id)
    tokenizer = plain_tokenizer(folder)  # "<|eot_id|>" in a text is ten characters
    added = {token.content: token_id for token_id, token in tokenizer.get_added_tokens_decoder().items() if token.special}
    config = read_json(folder / "tokenizer_config.json") if (folder / "tokenizer_config.json").is_file() else {}
    bos, eos = context.recipe.base.document_start or _token(config, "bos_token"), _token(config, "eos_token")
    if stage.template == "model":
        jinja, system, takes_input = _own_template(folder, context.base, config), stage.system, False
    else:
        template = TEMPLATES[stage.template]
        needed = [*template.tokens, *(text for name, text in (("bos_token", bos), ("eos_token", eos)) if name in template.jinja and text)]
        if missing := [text for text in needed if text not in added]:
            raise InputError(
                f"stage '{stage.id}': template {stage.template} needs the special token {missing[0]}, which the tokenizer of {folder} lacks; "
                "choose a template that needs BOS and EOS only (alpaca-ja, stable-beluga, llama2-ja), or a base that has the token"
            )
        if "eos_token" in template.jinja and eos is None:
            raise InputError(f"stage '{stage.id}': template {stage.template} ends an answer with EOS, and the tokenizer of {folder} names no eos_token")
        jinja, system, takes_input = template.jinja, stage.system or template.system, template.takes_input
    jinja = with_defaults(jinja, bos=bos, eos=eos, system=system)
    return Chat(jinja, ConversationEncoder(encoder(tokenizer), added, partial(_render, jinja), takes_input=takes_input))


def _render(jinja: str, messages: list[Message], prompt: bool) -> str:
    from transformers.utils.chat_template_utils import render_jinja_template

    rendered, _ = render_jinja_template(conversations=[list(messages)], chat_template=jinja, add_generation_prompt=prompt, date_string=TEMPLATE_DATE)
    return str(rendered[0])


def _token(config: dict[str, Any], name: str) -> str | None:
    value = config.get(name)
    return value["content"] if isinstance(value, dict) else value


def _own_template(folder: Path, base: Path, config: dict[str, Any]) -> str:
    for place in (folder, base):
        if (place / CHAT_TEMPLATE).is_file():
            return (place / CHAT_TEMPLATE).read_text(encoding="utf-8")
    if isinstance(config.get("chat_template"), str):
        return str(config["chat_template"])
    raise InputError(f"{folder}: this model has no chat template of its own; name one in the recipe, as template: llama3 (or {', '.join(TEMPLATES)})")


def sft_plan(stage: SftStage, context: Context) -> tuple[ConversationPlan, float]:
    """The plan of an sft stage, and characters of answers per token of the first source."""
    chat = load_chat(stage, context)
    sources: dict[str, tuple[list[Sample], float]] = {}
    chars_per_token = 0.0
    for item in stage.data:
        samples, chars = _samples(item.source, chat, stage, context)
        sources[item.source] = (samples, item.weight)
        chars_per_token = chars_per_token or chars / sum(sample.num_targets for sample in samples)
    plan = plan_conversations(
        sources,
        length=stage.sequence_tokens,
        rows_per_step=max(1, stage.batch_tokens // stage.sequence_tokens),
        seed=context.recipe.seed,
        tokens=stage.budget.tokens,
        epochs=stage.budget.epochs,
    )
    return plan, chars_per_token


def _samples(source: str, chat: Chat, stage: SftStage, context: Context) -> tuple[list[Sample], int]:
    """Samples of a source and the characters of its answers; how many were too long is said, never silent."""
    conversations = read_conversations(Path(context.recipe.sources[source].path))
    encoded = [(chat.encoder.sample(conversation), conversation.place) for conversation in conversations]
    samples, too_long = fit_length(encoded, stage.sequence_tokens, stage.too_long)
    if too_long:
        done = "were cut" if stage.too_long == "cut" else "were dropped"
        say(f"{stage.id}: {too_long} of {len(encoded)} conversations of {source} have more than {stage.sequence_tokens} tokens and {done}")
    chars = sum(len(message["content"]) for conversation in conversations for message in conversation.messages if message["role"] == "assistant")
    return samples, chars


def answer_measure(model: CausalModel, stage: SftStage, context: Context, sources: list[str]) -> Callable[[], dict[str, float]]:
    """A function that gives the bits per character of the held-out answers of each source of conversations, with the model as it is then."""
    chat = load_chat(stage, context)
    prepared = {}
    for source in sources:
        samples, chars = _samples(source, chat, stage, context)
        prepared[source] = (plan_conversations({source: (samples, 1.0)}, length=stage.sequence_tokens, rows_per_step=1, seed=0, epochs=1), chars)
    return lambda: {f"bits_per_char/{source}": _answer_nats(model, plan) / math.log(2) / chars for source, (plan, chars) in prepared.items()}


def _answer_nats(model: CausalModel, plan: ConversationPlan) -> float:
    """Every rank must call it: they share the steps out, and all get the sum of one process, to the last bit."""
    import torch

    from jp_adapt.commands.processes import measuring_processes

    processes = measuring_processes(model)
    nats = []
    with torch.inference_mode():
        for step in processes.share(range(plan.num_steps), [1] * plan.num_steps):
            batch = plan.batch(step)
            ids, positions, targets = (torch.tensor(part, device=model.base_head.device) for part in (batch.ids, batch.positions, batch.targets))
            counted = targets >= 0
            nats.append(-float(model.log_likelihoods(model(ids, positions)[counted], targets[counted]).sum()))
    return float(sum(value for part in processes.gather(nats) for value in part))


def last_sft(stage: Stage, context: Context) -> SftStage | None:
    """The sft stage that a stage goes back to, if there is one."""
    while not isinstance(stage, SftStage):
        start = getattr(stage, "start", "base")
        if start == "base":
            return None
        stage = context.stage(start)
    return stage


def write_chat_template(stage: SftStage, context: Context, folder: Path) -> None:
    """Put the template into an exported folder, and let generation stop at the token that ends an answer."""
    chat = load_chat(stage, context)
    write_text(folder / CHAT_TEMPLATE, chat.jinja)
    end = chat.encoder.end_id
    path = folder / "generation_config.json"
    config = read_json(path) if path.is_file() else {}
    known = config.get("eos_token_id")
    stops = known if isinstance(known, list) else [] if known is None else [known]
    if end not in stops:
        write_json(path, config | {"eos_token_id": [end, *stops]})
    tokenizer_config = folder / "tokenizer_config.json"
    if tokenizer_config.is_file() and "chat_template" in (config := read_json(tokenizer_config)):
        write_json(tokenizer_config, {key: value for key, value in config.items() if key != "chat_template"})
