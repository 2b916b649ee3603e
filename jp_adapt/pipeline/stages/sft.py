"""What an sft stage needs beside other training: its chat template, its samples, and the loss on held-out answers."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jp_adapt.commands.source_parts import SourcePart, read_chats
from jp_adapt.core.errors import InputError
from jp_adapt.core.files import read_json, write_json, write_text
from jp_adapt.core.progress import say
from jp_adapt.corpus.conversations import ConversationEncoder, ConversationPlan, Sample, fit_length, plan_conversations
from jp_adapt.corpus.record_fields import Fields
from jp_adapt.inference.text_side import text_side
from jp_adapt.recipe.document_tokens import document_end, document_start
from jp_adapt.recipe.schema import Recipe, SftStage, Stage
from jp_adapt.text.chat import TEMPLATES, ChatError, Message, render, with_defaults
from jp_adapt.text.chat_jinja import checked_template
from jp_adapt.tokenizer.encoder import encoder, plain_tokenizer, special_ids

if TYPE_CHECKING:
    from jp_adapt.model.causal import CausalModel
    from jp_adapt.pipeline.stages.context import Context

CHAT_TEMPLATE = "chat_template.jinja"


@dataclass(frozen=True)
class Chat:
    """A template ready to use: its Jinja text, and the encoder of conversations."""

    jinja: str
    encoder: ConversationEncoder


def load_chat(stage: SftStage, context: Context) -> Chat:
    """The stage's template with the tokens of its tokenizer. InputError where the tokenizer lacks one, or the base has no template of its own."""
    return stage_chat(stage, context.recipe, context.tokenizer_folder(stage.id), context.base)


def stage_chat(stage: SftStage, recipe: Recipe, folder: Path, base: Path) -> Chat:
    """As `load_chat`, with the tokenizer of `folder`."""
    tokens = document_start(recipe.base, base), document_end(recipe.base, base)
    side = text_side(folder, *tokens)
    if stage.template == "model":
        own = side if side.chat.own else text_side(base, *tokens)
        if not own.chat.own:
            known = ", ".join(TEMPLATES)
            raise InputError(f"{folder}: this model has no chat template of its own; name one in the recipe, as template: llama3 (or {known})")
        return chat_of(own.chat.template, folder, system=stage.system)
    template = TEMPLATES[stage.template]
    added = special_ids(folder)
    needed = [*template.tokens, *(text for name, text in (("bos_token", side.document_start), ("eos_token", side.eos)) if name in template.jinja and text)]
    if missing := [text for text in needed if text not in added]:
        raise InputError(
            f"stage '{stage.id}': template {stage.template} needs the special token {missing[0]}, which the tokenizer of {folder} lacks; "
            "choose a template that needs BOS and EOS only (alpaca-ja, stable-beluga, llama2-ja), or a base that has the token"
        )
    if "eos_token" in template.jinja and side.eos is None:
        raise InputError(f"stage '{stage.id}': template {stage.template} ends an answer with EOS, and the tokenizer of {folder} names no eos_token")
    jinja = with_defaults(template.jinja, bos=side.document_start, eos=side.eos, system=None)
    return chat_of(jinja, folder, system=stage.system or template.system, takes_input=template.takes_input)


def own_chat(folder: Path, stage_id: str) -> Chat:
    """The chat template of a plain model's folder. InputError where it has none."""
    chat = text_side(folder).chat
    if not chat.own:
        raise InputError(
            f"stage '{stage_id}': {folder} has no chat template, and preferences are conversations; start from a model with one, as an sft stage's export"
        )
    return chat_of(chat.template, folder)


def chat_of(jinja: str, folder: Path, *, system: str | None = None, takes_input: bool = False) -> Chat:
    """A template, its BOS and EOS written in, with the tokenizer of a folder. InputError if it is not a template."""
    jinja = with_defaults(jinja, bos=None, eos=None, system=system)
    try:
        checked_template(jinja)
    except ChatError as error:
        raise InputError(f"{folder}: the chat template cannot be used here: {error}; name one in the recipe, as template: chatml") from error
    tokenizer = plain_tokenizer(folder)  # "<|eot_id|>" in a text is ten characters
    return Chat(jinja, ConversationEncoder(encoder(tokenizer), special_ids(folder), partial(_render, jinja), takes_input=takes_input))


def _render(jinja: str, messages: Sequence[Message], prompt: bool, tools: Sequence[dict[str, Any]] | None = None) -> str:
    return render(jinja, messages, prompt=prompt, tools=tools)


def sft_plan(stage: SftStage, context: Context) -> tuple[ConversationPlan, float]:
    """The plan of an sft stage, and characters of answers per token of the first source."""
    chat = load_chat(stage, context)
    sources: dict[str, tuple[list[Sample], float]] = {}
    notes: dict[str, dict[str, int]] = {}
    chars_per_token = 0.0
    for item in stage.data:
        samples, notes[item.source] = _samples(item.source, "training", chat, stage, context)
        if not samples:
            path = context.recipe.sources[item.source].path
            raise InputError(f"{path}: no conversation fits in {stage.sequence_tokens} tokens; raise sequence_tokens of stage '{stage.id}'")
        sources[item.source] = (samples, item.weight)
        chars_per_token = chars_per_token or sum(sample.chars for sample in samples) / sum(sample.num_targets for sample in samples)
    plan = plan_conversations(
        sources,
        length=stage.sequence_tokens,
        rows_per_step=max(1, stage.batch_tokens // stage.sequence_tokens),
        seed=context.recipe.seed,
        tokens=stage.budget.tokens,
        epochs=stage.budget.epochs,
    )
    return replace(plan, notes=notes), chars_per_token


def _samples(source: str, part: SourcePart, chat: Chat, stage: SftStage, context: Context) -> tuple[list[Sample], dict[str, int]]:
    """Samples of a source that fit, and how often each field of it was met that is not used; what was left out is said, never silent."""
    entry = context.recipe.sources[source]
    fields = Fields(entry.ignore)
    conversations = read_chats(entry, part, fields)
    trained = [conversation for conversation in conversations if conversation.is_trained]
    if not trained:
        raise InputError(f"{entry.path}: every answer has weight 0, so there is nothing to train on")
    if len(trained) < len(conversations):
        say(f"{stage.id}: {len(conversations) - len(trained)} of {len(conversations)} conversations of {source} have weight 0 and are left out")
    if fields.notes and part == "training":  # what is held out has the same fields
        say(f"{stage.id}: fields of {source} that are taken for notes and not used: {fields.said()}")
    encoded = [(chat.encoder.sample(conversation), conversation.place) for conversation in trained]
    samples, too_long = fit_length(encoded, stage.sequence_tokens, stage.too_long)
    if too_long:
        done = "were cut" if stage.too_long == "cut" else "were dropped"
        say(f"{stage.id}: {too_long} of {len(encoded)} conversations of {source} have more than {stage.sequence_tokens} tokens and {done}")
    return samples, dict(fields.notes)


def answer_measure(model: CausalModel, stage: SftStage, context: Context, sources: list[str]) -> Callable[[], dict[str, float]]:
    """A function that gives the bits per character of the held-out answers of each source of conversations, with the model as it is then.

    Of a source whose held-out conversations are all too long it gives none, and it is said.
    """
    chat = load_chat(stage, context)
    prepared = {}
    for source in sources:
        samples, _ = _samples(source, "heldout", chat, stage, context)
        if not samples:
            say(not_measured(stage, source))
            continue
        plan = plan_conversations({source: (samples, 1.0)}, length=stage.sequence_tokens, rows_per_step=1, seed=0, epochs=1)
        prepared[source] = (plan, sum(sample.chars for sample in samples))
    return lambda: {f"bits_per_char/{source}": _answer_nats(model, plan) / math.log(2) / chars for source, (plan, chars) in prepared.items()}


def not_measured(stage: SftStage, source: str) -> str:
    """What to tell where every conversation that a source holds out is too long."""
    return f"{stage.id}: no held-out conversation of {source} fits in {stage.sequence_tokens} tokens, so its answers are not measured; raise sequence_tokens"


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
