"""The tokenizer stage: an extended tokenizer that holds every criterion."""

from __future__ import annotations

from jp_adapt.core.files import new_folder, write_json
from jp_adapt.pipeline.run_folder import StageFolder
from jp_adapt.pipeline.stages.context import Context, Results
from jp_adapt.recipe.schema import TokenizerStage
from jp_adapt.tokenizer.extend import extend_tokenizer
from jp_adapt.tokenizer.load import load_tokenizer
from jp_adapt.tokenizer.save import save_tokenizer
from jp_adapt.tokenizer.verify import NOTES, check_criteria, verify_tokenizer
from jp_adapt.tokenizer.words import Corpus


def run_tokenizer(stage: TokenizerStage, context: Context, folder: StageFolder) -> Results:
    """Extend the base's tokenizer, and keep it only if every criterion holds."""
    base = load_tokenizer(context.base)
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
        criteria = verify_tokenizer(base, load_tokenizer(target), japanese=japanese, unchanged=unchanged)  # what was written is what is checked
        check_criteria(criteria)
        write_json(target / "criteria.json", {criterion.label: criterion.failures for criterion in criteria if criterion.name not in NOTES})
    return {"new_tokens": len(extension.tokens), "vocab_size": extension.vocab_size}
