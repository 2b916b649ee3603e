"""A first recipe from a base, texts and conversations of one's own: short, commented, with something held out of every source."""

from __future__ import annotations

import filecmp
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from jp_adapt.core.errors import InputError, UsageError
from jp_adapt.core.files import is_file
from jp_adapt.core.shipped import shipped_recipes
from jp_adapt.corpus.sources import expand_paths
from jp_adapt.inference.text_side import own_template
from jp_adapt.model.sources import resolve_revision
from jp_adapt.recipe.base_sizes import known_architecture
from jp_adapt.recipe.load import load_recipe
from jp_adapt.recipe.schema import Base

SCHEMA_FILE = "{}.schema.json"  # beside a recipe of that kind, for the completion of an editor
SCHEMA_LINE = f"# yaml-language-server: $schema={SCHEMA_FILE}"
CHARS_OF_A_TOKEN = 500  # of text for one new token, so that most of them stand in it a dozen times and more
NEW_TOKENS = (200, 16_000)  # fewest and most by default
STEPS = 300  # of an epoch, about: fewer learn little, and more of them are shorter than they need be
SMALL = 10**9  # parameters: below, LoRA takes ten times the learning rate (recipes/)
_OPTIONS = (("--texts", "texts"), ("--english", "english"), ("--chats", "chats"))
SENTENCES = ("今日はいい天気なので、駅前の公園まで散歩に行きました。", "新しい言葉を覚えるには、毎日少しずつ読むことが大切です。")
NOTHING_HELD_OUT = "Nothing is held out, so the report cannot say how well the model reads new text; `heldout: 0.01` of a source would hold out 1 %."
PROMPTS = ("日本でいちばん高い山は", "雨の日には")


@dataclass(frozen=True)
class RecipeParts:
    """What a recipe is made of.

    Attributes:
        base: folder of a model, a GGUF file, ORG/NAME of the hub (with @REVISION or at today's commit), or the name of a shipped recipe, whose base it is.
        texts: files or patterns of Japanese text. english: of English text, which keeps the model's English. chats: of conversations (.jsonl).
        new_tokens: 0 leaves the tokenizer as it is; by default by the size of the texts.
        heldout: share of each source that no stage trains on; with 0 nothing is measured but benchmarks and samples.
        field: of the text in .jsonl, .csv and .parquet.
    """

    base: str
    texts: tuple[str, ...] = ()
    english: tuple[str, ...] = ()
    chats: tuple[str, ...] = ()
    new_tokens: int | None = None
    epochs: float = 1.0
    heldout: float = 0.01
    field: str = "text"


def recipe_text(parts: RecipeParts, path: Path) -> str:
    """The text of a recipe that lies at `path`, whose paths are relative to it where they lie beside or below.

    Raises:
        UsageError: neither texts nor conversations. InputError: a file or the base is missing, or the hub does not give today's commit.
    """
    if not parts.texts and not parts.chats:
        raise UsageError("give --texts FILE (Japanese text), --chats FILE (conversations), or both")
    files = {"ja": expand_paths(parts.texts), "en": expand_paths(parts.english), "chat": expand_paths(parts.chats)}
    sources = {kind: _names(kind, paths) for kind, paths in files.items()}
    base = _base(parts.base)
    lines = _head(parts, path, base)
    lines += [_source(name, kind, file, path, parts) for kind, named in sources.items() for name, file in named.items()]
    lines += ["", "stages:"]
    japanese, english, chats = (list(named) for named in sources.values())
    measured = parts.heldout > 0
    chars = sum(file.stat().st_size for file in files["ja"] if file.is_file()) // 3
    start = "base"
    if japanese:
        new_tokens = _new_tokens(chars) if parts.new_tokens is None else parts.new_tokens
        if new_tokens:
            lines += _tokenizer_stage(japanese, english, new_tokens)
            start = "tok"
        lines += _pretrain_stage(start, japanese, english, chars, parts, base)
        start = "cpt"
    if chats:
        lines += _sft_stage(start, chats, chats + japanese + english if measured else [], base)
        start = "sft"
    return "\n".join([*lines, *_last_stages(start, japanese + english if measured else [])]) + "\n"


def repeated_files(parts: RecipeParts) -> list[str]:
    """What to tell of files that are given twice, by name or by content."""
    given = [(option, path) for option, patterns in _OPTIONS for pattern in getattr(parts, patterns) for path in expand_paths([pattern])]
    notes = []
    for number, (option, path) in enumerate(given):
        earlier = next(
            ((other, file) for other, file in given[:number] if file.stat().st_size == path.stat().st_size and filecmp.cmp(file, path, shallow=False)), None
        )
        if earlier is None:
            continue
        if earlier[0] == option and earlier[1].resolve() == path.resolve():
            notes.append(f"{path} is given twice with {option}; it is read once")
        else:
            notes.append(f"{path} ({option}) holds the same as {earlier[1]} ({earlier[0]}); its text has twice the weight")
    return list(dict.fromkeys(notes))


def _head(parts: RecipeParts, path: Path, base: Base) -> list[str]:
    name = re.sub(r"[^A-Za-z0-9_.-]+", "-", path.stem).strip("-_.") or "mine"
    given = base.model_dump(exclude_none=True)
    places = {key: _place(given[key], path) for key in ("path", "file") if key in given and not base.package}
    entries = [f"{key}: {_scalar(value)}" for key, value in (given | places).items()]
    held = f"{100 * parts.heldout:g} % of each source is held out: no stage trains on it, and the report measures it." if parts.heldout else NOTHING_HELD_OUT
    return [
        SCHEMA_LINE.format("recipe"),
        f"# Check: jp-adapt check {path}   plan: jp-adapt plan {path}   run: jp-adapt run {path}",
        "# Every key, its default and what it means: docs/reference/recipe.md, or jp-adapt schema recipe",
        f"name: {_scalar(name)}",
        f"base: {{{', '.join(entries)}}}",
        "",
        f"# {held} Say under `license` what your texts allow.",
        "sources:",
    ]


def _base(given: str) -> Base:
    if given in shipped_recipes():
        return load_recipe(given, need_files=False).recipe.base
    path = Path(given).expanduser()
    if path.is_dir():
        return Base(path=str(path))
    if is_file(path):
        return Base(file=str(path))
    model, _, revision = given.partition("@")
    if not re.fullmatch(r"[\w.-]+/[\w.-]+", model):
        raise InputError(f"--base {given}: no such folder or GGUF file, no shipped recipe, and not ORG/NAME of the hub")
    return Base(model=model, revision=resolve_revision(model, revision or "main"))


def _names(kind: str, paths: Sequence[Path]) -> dict[str, Path]:
    return {kind if number == 1 else f"{kind}_{number}": path for number, path in enumerate(paths, start=1)}


def _source(name: str, kind: str, file: Path, recipe: Path, parts: RecipeParts) -> str:
    language = "en" if kind == "en" else "ja"
    held = f", heldout: {parts.heldout:g}" if parts.heldout else ""
    form = ", format: chat" if kind == "chat" else f", field: {_scalar(parts.field)}" if parts.field != "text" else ""
    return f"  {name}: {{path: {_scalar(_place(str(file), recipe))}, language: {language}, license: private{form}{held}}}"


def _place(file: str, recipe: Path) -> str:
    """The path as the recipe says it: relative to the recipe's folder where it lies in it, else absolute."""
    full, folder = Path(file).resolve(), recipe.resolve().parent
    return str(full.relative_to(folder)) if full.is_relative_to(folder) else str(full)


def _scalar(text: str) -> str:
    """A text as YAML reads it back, also within { }."""
    return (
        text
        if re.fullmatch(r"[A-Za-z_./][\w./-]*", text) and text.lower() not in ("true", "false", "null", "yes", "no", "on", "off")
        else json.dumps(text, ensure_ascii=False)
    )


def _new_tokens(chars: int) -> int:
    """By default a new token for each `CHARS_OF_A_TOKEN` characters, to two digits."""
    number = min(max(chars // CHARS_OF_A_TOKEN, NEW_TOKENS[0]), NEW_TOKENS[1])
    digits: int = 10 ** (len(str(number)) - 2)
    return number // digits * digits


def _tokenizer_stage(japanese: list[str], english: list[str], new_tokens: int) -> list[str]:
    unchanged = f", unchanged: [{', '.join(english)}]" if english else ""
    return [
        "  # Japanese tokens behind the base's own. More of them make texts shorter; one that stands in the text a few times only learns little.",
        f"  - {{id: tok, kind: tokenizer, corpus: [{', '.join(japanese)}]{unchanged}, new_tokens: {new_tokens}}}",
        "",
    ]


def _pretrain_stage(start: str, japanese: list[str], english: list[str], chars: int, parts: RecipeParts, base: Base) -> list[str]:
    weights = [f"{{source: {name}, weight: {0.9 / len(japanese):.3g}}}" for name in japanese] + [
        f"{{source: {name}, weight: {0.1 / len(english):.3g}}}" for name in english
    ]
    data = ", ".join(weights if english else japanese)
    length = _longest(base, 512)
    batch = length * 2 ** max(1, min(7, round(chars / STEPS / length).bit_length()))
    together = "new_rows_lr: 8.0e-3, new_rows_eps: 0.02, new_rows_whitening: true, shared_rows_lr: 4.0e-3"  # measured on a small model alone
    lr, rows = ("1.0e-3", together) if _is_small(base) else ("2.0e-4", "new_rows_lr: 4.0e-4")
    return [
        "  # LoRA learns Japanese"
        + (" together with the embeddings of the new tokens." if start == "tok" else ".")
        + ("" if english else " English text beside it keeps the model's English."),
        "  - id: cpt",
        "    kind: pretrain",
        f"    start: {start}",
        f"    data: [{data}]",
        f"    budget: {{epochs: {parts.epochs:g}}}",
        f"    sequence_tokens: {length}",
        f"    batch_tokens: {batch}",
        f"    optimizer: {{lr: {lr}{f', {rows}' if start == 'tok' else ''}}}",
        *([f"    heldout: [{', '.join(japanese + english)}]"] if parts.heldout else []),
        "",
    ]


def _sft_stage(start: str, chats: list[str], heldout: list[str], base: Base) -> list[str]:
    length = _longest(base, 1024)
    return [
        "  # Instruction tuning: the loss lies on the answers alone. `jp-adapt preview` shows which tokens these are.",
        "  - id: sft",
        "    kind: sft",
        f"    start: {start}",
        f"    template: {_template(base)}",
        f"    data: [{', '.join(chats)}]",
        "    budget: {epochs: 2}",
        f"    sequence_tokens: {length}",
        f"    batch_tokens: {4 * length}",
        "    too_long: drop  # conversations longer than sequence_tokens; how many is said",
        f"    optimizer: {{lr: {'5.0e-4' if _is_small(base) else '1.0e-4'}}}",
        *([f"    heldout: [{', '.join(heldout)}]"] if heldout else []),
        "",
    ]


def _last_stages(start: str, texts: list[str]) -> list[str]:
    return [
        "  # A plain folder that transformers loads: runs/NAME/stages/model/final",
        f"  - {{id: model, kind: export, start: {start}}}",
        "",
        "  # Before and after. More benchmarks: jp-adapt list, jp-adapt data fetch.",
        "  - id: eval",
        "    kind: evaluate",
        "    models: [base, model]",
        *([f"    texts: [{', '.join(texts)}]"] if texts else []),
        "    benchmarks: [quickstart/ja-everyday-100]",
        "    segment:",
        *(f"      - {sentence}" for sentence in SENTENCES),
        f"    samples: {{prompts: [{', '.join(PROMPTS)}], max_chars: 60}}",
    ]


def _template(base: Base) -> str:
    """The base's own chat template where it has one, or may have; else the Japanese Alpaca prompt, which needs no special token."""
    return "model" if base.path is None or own_template(Path(base.path)) is not None else "alpaca-ja"


def _longest(base: Base, tokens: int) -> int:
    """`tokens`, or as many as the base was trained for."""
    sizes = known_architecture(base)
    return min(tokens, (sizes and sizes.positions) or tokens)


def _is_small(base: Base) -> bool:
    sizes = known_architecture(base)
    return sizes is not None and sizes.parameters < SMALL
