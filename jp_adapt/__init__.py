"""jp-adapt: the toolkit that makes a Llama-family model speak Japanese."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jp_adapt.benchmarks.items import load_benchmark as load_benchmark
    from jp_adapt.benchmarks.metrics import Metric as Metric
    from jp_adapt.benchmarks.metrics import add_metric as add_metric
    from jp_adapt.commands.evaluate import evaluate as evaluate
    from jp_adapt.commands.merge import merge_models as merge_models
    from jp_adapt.core.errors import JpAdaptError as JpAdaptError
    from jp_adapt.evaluation.compare import compare_scores as compare_scores
    from jp_adapt.evaluation.judge.results import read_judge_summary as read_judge_summary
    from jp_adapt.evaluation.results import read_scores as read_scores
    from jp_adapt.export.adapter import merge_adapter as merge_adapter
    from jp_adapt.export.gguf import export_gguf as export_gguf
    from jp_adapt.inference.engines import add_engine as add_engine
    from jp_adapt.model.rows import init_new_rows as init_new_rows
    from jp_adapt.pipeline.open_run import open_run as open_run
    from jp_adapt.pipeline.run import run_recipe as run_recipe
    from jp_adapt.recipe.load import load_recipe as load_recipe
    from jp_adapt.tokenizer.extend import extend_tokenizer as extend_tokenizer
    from jp_adapt.tokenizer.learn import learn_tokens as learn_tokens
    from jp_adapt.tokenizer.load import load_tokenizer as load_tokenizer
    from jp_adapt.tokenizer.measure import measure_tokenizer as measure_tokenizer
    from jp_adapt.tokenizer.prefix import prefix_tokenizer as prefix_tokenizer
    from jp_adapt.tokenizer.repair import repair_tokenizer as repair_tokenizer
    from jp_adapt.tokenizer.save import save_tokenizer as save_tokenizer
    from jp_adapt.tokenizer.verify import verify_tokenizer as verify_tokenizer
    from jp_adapt.training.loop import train as train
    from jp_adapt.ui.catalogue import runs as runs

# Where each public name lives. Nothing is imported before it is asked for: `import jp_adapt` needs none of torch, pydantic and yaml.
_HOMES = {
    "JpAdaptError": "core.errors",
    "load_recipe": "recipe.load",
    "load_benchmark": "benchmarks.items",
    "Metric": "benchmarks.metrics",
    "add_metric": "benchmarks.metrics",
    "add_engine": "inference.engines",
    "run_recipe": "pipeline.run",
    "open_run": "pipeline.open_run",
    "runs": "ui.catalogue",
    "merge_models": "commands.merge",
    "merge_adapter": "export.adapter",
    "export_gguf": "export.gguf",
    "evaluate": "commands.evaluate",
    "learn_tokens": "tokenizer.learn",
    "extend_tokenizer": "tokenizer.extend",
    "verify_tokenizer": "tokenizer.verify",
    "load_tokenizer": "tokenizer.load",
    "save_tokenizer": "tokenizer.save",
    "prefix_tokenizer": "tokenizer.prefix",
    "repair_tokenizer": "tokenizer.repair",
    "measure_tokenizer": "tokenizer.measure",
    "init_new_rows": "model.rows",
    "train": "training.loop",
    "compare_scores": "evaluation.compare",
    "read_scores": "evaluation.results",
    "read_judge_summary": "evaluation.judge.results",
}
__all__ = sorted(_HOMES)


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'jp_adapt' has no attribute '{name}'")
    return getattr(import_module(f"jp_adapt.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return __all__
