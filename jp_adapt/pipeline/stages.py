"""The stages: here, and only here, a recipe becomes flat arguments for the rooms below."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer

from jp_adapt.core.errors import GateError, InputError
from jp_adapt.core.files import new_folder, read_json, write_json
from jp_adapt.core.hashes import sha256_file
from jp_adapt.corpus.mixture import plan_training
from jp_adapt.corpus.pack import Documents, Plan
from jp_adapt.corpus.sources import read_documents
from jp_adapt.pipeline.encoder import encoder, plain_tokenizer
from jp_adapt.pipeline.evaluate_stage import run_evaluate
from jp_adapt.pipeline.merge import PROBE, export_facts, stage_records, write_card
from jp_adapt.pipeline.prepared import is_prepared, open_prepared, prepared_texts
from jp_adapt.pipeline.run_folder import StageFolder
from jp_adapt.pipeline.sft_stage import answer_measure, last_sft, sft_plan, write_chat_template
from jp_adapt.pipeline.trackers import open_tracker
from jp_adapt.recipe.schema import EvaluateStage, ExportStage, PreferenceStage, PretrainStage, Recipe, RowsStage, SftStage, Stage, TokenizerStage, TrainingStage
from jp_adapt.tokenizer.extend import extend_tokenizer
from jp_adapt.tokenizer.load import load_tokenizer as load_bpe
from jp_adapt.tokenizer.save import copy_tokenizer, save_tokenizer
from jp_adapt.tokenizer.verify import NOTES, Criterion, verify_tokenizer
from jp_adapt.tokenizer.words import Corpus

Results = dict[str, Any]


@dataclass(frozen=True)
class Context:
    """What every stage may need: the recipe, the base's folder, and the folders of the stages."""

    recipe: Recipe
    base: Path
    stage_folder: Callable[[str], StageFolder]
    trackers: tuple[str, ...] = ()

    def documents(self, source: str) -> list[str]:
        """All documents of a source of the recipe."""
        entry = self.recipe.sources[source]
        if is_prepared(Path(entry.path)):
            return list(prepared_texts(Path(entry.path)))
        return read_documents(Path(entry.path), entry.field)

    def stage(self, stage_id: str) -> Stage:
        return next(stage for stage in self.recipe.stages if stage.id == stage_id)

    def ancestors(self, stage_id: str) -> list[str]:
        """The stage `stage_id` and those it started from, the earliest first."""
        found: list[str] = []
        while stage_id != "base":
            found.insert(0, stage_id)
            stage = self.stage(stage_id)
            assert not isinstance(stage, EvaluateStage)
            stage_id = stage.start
        return found

    def tokenizer_folder(self, stage_id: str) -> Path:
        """Folder of the tokenizer that the stage `stage_id` (or "base") works with."""
        while stage_id != "base":
            stage = self.stage(stage_id)
            if isinstance(stage, TokenizerStage):
                return self.stage_folder(stage_id).final
            assert not isinstance(stage, EvaluateStage)
            stage_id = stage.start
        return self.base

    def model_folder(self, name: str) -> Path:
        """Folder of a plain model: the base, or what an export stage wrote."""
        return self.base if name == "base" else self.stage_folder(name).final

    def prefix_id(self, tokenizer: Tokenizer) -> int:
        """Id of the token that stands before every document."""
        text = self.recipe.base.document_start
        if text is None:
            config = read_json(self.base / "tokenizer_config.json")
            bos = config.get("bos_token")
            text = bos["content"] if isinstance(bos, dict) else bos
            if text is None:
                raise InputError(f"{self.base}: the tokenizer names no bos_token; say in the recipe which token begins a document: base.document_start")
        token_id = tokenizer.token_to_id(text)
        if token_id is None:
            raise InputError(f"base.document_start is '{text}', and the tokenizer of {self.base} has no such token")
        return token_id


def load_tokenizer(folder: Path) -> Tokenizer:
    """The `tokenizers` tokenizer of a folder, of any family, for plain text."""
    return plain_tokenizer(folder / "tokenizer.json")


def run_stage(stage: Stage, context: Context) -> Results:
    """Do one stage; its folder has a `final` afterwards. Comes back: figures for stage.json."""
    folder = context.stage_folder(stage.id)
    match stage:
        case TokenizerStage():
            return run_tokenizer(stage, context, folder)
        case RowsStage() | PretrainStage() | SftStage():
            return run_training(stage, context, folder)
        case PreferenceStage():
            from jp_adapt.pipeline.preference_stage import run_preference

            return run_preference(stage, context, folder)
        case ExportStage():
            return run_export(stage, context, folder)
        case EvaluateStage():
            return run_evaluate(stage, context, folder)


def run_tokenizer(stage: TokenizerStage, context: Context, folder: StageFolder) -> Results:
    """Extend the base's tokenizer, and keep it only if every criterion holds."""
    base = load_bpe(context.base)
    corpus = Corpus()
    japanese: list[str] = []
    for source in stage.corpus:
        documents = context.documents(source)
        corpus.add(source, documents)
        japanese += documents
    unchanged = [text for source in stage.unchanged for text in context.documents(source)]
    extension = extend_tokenizer(
        base.tokenizer,
        corpus,
        stage.new_tokens,
        min_count=stage.min_count,
        max_token_chars=stage.max_token_chars,
        boundaries=stage.boundaries,
        cover=stage.cover,
    )
    with new_folder(folder.final) as target:
        save_tokenizer(base, extension, context.base, target)
        criteria = verify_tokenizer(base, load_bpe(target), japanese=japanese, unchanged=unchanged)
        check_criteria(criteria)
        write_json(target / "criteria.json", {criterion.label: criterion.failures for criterion in criteria if criterion.name not in NOTES})
    return {"new_tokens": len(extension.tokens), "vocab_size": extension.vocab_size}


def check_criteria(criteria: Sequence[Criterion]) -> None:
    """GateError, with the first example of each, where a criterion does not hold."""
    broken = [
        f"{criterion.label}: {criterion.failures} of {criterion.checked}, for example {criterion.examples[0]!r}"
        for criterion in criteria
        if not criterion.holds
    ]
    if broken:
        raise GateError("the extended tokenizer does not hold these criteria, each must be 0: " + "; ".join(broken))


def run_training(stage: TrainingStage, context: Context, folder: StageFolder) -> Results:
    """A rows, a pretrain or an sft stage: from its start to an adapter folder."""
    from jp_adapt.model.causal import resolve_precision, save_adapter
    from jp_adapt.pipeline.training_stage import heldout_measure, prepare_model, recorded_steps, sampler, source_counter, train_settings
    from jp_adapt.training import ranks
    from jp_adapt.training.loop import train

    tokenizer_folder = context.tokenizer_folder(stage.id)
    tokenizer = load_tokenizer(tokenizer_folder)
    prefix = context.prefix_id(tokenizer)
    plan, chars_per_token = sft_plan(stage, context) if isinstance(stage, SftStage) else _plan(stage, context, encoder(tokenizer), prefix)
    dtype = resolve_precision(context.recipe.precision)
    model = prepare_model(stage, context, dtype)
    texts = [source for source in stage.heldout if context.recipe.sources[source].format == "text"]
    heldout = {source: first_chars(context.documents(source), stage.heldout_chars) for source in texts}
    languages = {source: context.recipe.sources[source].language for source in texts}
    measures = [heldout_measure(model, encoder(tokenizer), heldout, languages, prefix)] if heldout else []
    if isinstance(stage, SftStage) and (chats := [source for source in stage.heldout if source not in texts]):
        measures.append(answer_measure(model, stage, context, chats))

    def measure() -> dict[str, float]:
        return {name: value for one in measures for name, value in one().items()}

    distributed = context.recipe.distributed
    settings = train_settings(stage, distributed, context.recipe.deepspeed)
    work = partial(train, model, plan, settings, checkpoints=folder.checkpoints, measure=measure if measures else None)
    samples = [sampler(model, tokenizer, stage.samples, folder, prefix=prefix, every=stage.heldout_every)] if stage.samples is not None else []
    if ranks.rank() > 0:
        work(on_step=samples[0] if samples and distributed != "ddp" else lambda step, metrics: None)
        return {}
    watchers = [*(open_tracker(name, folder.path, context.recipe.name, stage.id) for name in context.trackers), *samples]
    with recorded_steps(stage.id, folder, plan.num_steps, source_counter(plan), watchers) as on_step:
        work(on_step=on_step)
    with new_folder(folder.final) as target:
        save_adapter(model, target, sha256_file(tokenizer_folder / "tokenizer.json"))
        copy_tokenizer(tokenizer_folder, target)
    return {
        "steps": plan.num_steps,
        "fill": plan.fill,
        "tokens_by_source": plan.tokens_by_source,
        **({"epochs_by_source": plan.epochs_by_source, "cut_share": plan.packing.cut_share} if isinstance(plan, Plan) else {}),
        "chars_per_token": chars_per_token,
        "precision": str(dtype).removeprefix("torch."),
    }


def _plan(stage: TrainingStage, context: Context, encode: Callable[[str], list[int]], prefix: int) -> tuple[Plan, float]:
    """The training plan, and characters per token of the first source (to turn losses into bits per character)."""
    sources: dict[str, tuple[Documents, float]] = {}
    max_epochs: dict[str, float] = {}
    chars_per_token = 0.0
    for item in stage.data:
        path = Path(context.recipe.sources[item.source].path)
        if is_prepared(path):
            prepared = open_prepared(path, item.source, item.weight, sha256_file(context.tokenizer_folder(stage.id) / "tokenizer.json"))
            sources |= prepared.sources
            max_epochs |= prepared.max_epochs
            chars_per_token = chars_per_token or prepared.chars_per_token
            continue
        texts = context.documents(item.source)
        encoded = [encode(text) for text in texts]
        sources[item.source] = (encoded, item.weight)
        chars_per_token = chars_per_token or sum(map(len, texts)) / sum(map(len, encoded))
    plan = plan_training(
        sources,
        prefix=prefix,
        length=stage.sequence_tokens,
        rows_per_step=max(1, stage.batch_tokens // stage.sequence_tokens),
        seed=context.recipe.seed,
        tokens=stage.budget.tokens,
        epochs=stage.budget.epochs,
        max_epochs=max_epochs,
    )
    return plan, chars_per_token


def first_chars(documents: Iterable[str], chars: int) -> list[str]:
    """Whole documents from the first on, until they hold `chars` characters; none after them is read."""
    taken, total = [], 0
    for document in documents:
        taken.append(document)
        total += len(document)
        if total >= chars:
            break
    return taken


def run_export(stage: ExportStage, context: Context, folder: StageFolder) -> Results:
    """Merge into a plain folder with its tokenizer."""
    from jp_adapt.model.causal import resolve_precision
    from jp_adapt.model.export import export_model

    tokenizer_folder = context.tokenizer_folder(stage.id)
    tokenizer = load_tokenizer(tokenizer_folder)
    probe = [context.prefix_id(tokenizer), *encoder(tokenizer)(PROBE)]
    adapter = context.stage_folder(stage.start).final
    with new_folder(folder.final) as target:
        trained, quantization = resolve_precision(context.recipe.precision), context.recipe.quantization
        difference = export_model(context.base, adapter, trained, target, probe, dtype=stage.dtype, quantization=quantization)
        copy_tokenizer(tokenizer_folder, target)
        records = stage_records([context.stage_folder(stage_id).path for stage_id in context.ancestors(stage.start)])
        write_card(target, f"{context.recipe.name}, stage {stage.id}", export_facts(context.recipe, records, difference, stage.dtype))
        if (sft := last_sft(stage, context)) is not None:
            write_chat_template(sft, context, target)
    return {"largest_logit_difference": difference}
