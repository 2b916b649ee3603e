"""jp-adapt: the toolkit that makes a Llama-family model speak Japanese."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jp_adapt.benchmarks.items import load_benchmark as load_benchmark
    from jp_adapt.benchmarks.metrics import Metric as Metric
    from jp_adapt.benchmarks.metrics import add_metric as add_metric
    from jp_adapt.commands.advise import AdviceOptions as AdviceOptions
    from jp_adapt.commands.advise import advise as advise
    from jp_adapt.commands.evaluate import EvalOptions as EvalOptions
    from jp_adapt.commands.evaluate import evaluate as evaluate
    from jp_adapt.commands.evolve import EvolveTask as EvolveTask
    from jp_adapt.commands.evolve import evolve as evolve
    from jp_adapt.commands.from_python import build_tokenizer as build_tokenizer
    from jp_adapt.commands.from_python import compare_tokenizers as compare_tokenizers
    from jp_adapt.commands.from_python import corpus_stats as corpus_stats
    from jp_adapt.commands.from_python import prepare_corpus as prepare_corpus
    from jp_adapt.commands.judge import JudgeOptions as JudgeOptions
    from jp_adapt.commands.judge import judge as judge
    from jp_adapt.commands.judge import plan_judging as plan_judging
    from jp_adapt.commands.matrix import evaluate_matrix as evaluate_matrix
    from jp_adapt.commands.merge import merge_models as merge_models
    from jp_adapt.commands.plan import plan_recipe as plan_recipe
    from jp_adapt.core.errors import JpAdaptError as JpAdaptError
    from jp_adapt.core.shipped import shipped_benchmarks as shipped_benchmarks
    from jp_adapt.core.shipped import shipped_corpora as shipped_corpora
    from jp_adapt.core.shipped import shipped_recipes as shipped_recipes
    from jp_adapt.core.shipped import shipped_suites as shipped_suites
    from jp_adapt.evaluation.compare import compare_scores as compare_scores
    from jp_adapt.evaluation.judge.results import read_judge_summary as read_judge_summary
    from jp_adapt.evaluation.results import Scores as Scores
    from jp_adapt.evaluation.results import read_scores as read_scores
    from jp_adapt.export.adapter import merge_adapter as merge_adapter
    from jp_adapt.export.gguf import export_gguf as export_gguf
    from jp_adapt.inference.engines import add_engine as add_engine
    from jp_adapt.model.rows import init_new_rows as init_new_rows
    from jp_adapt.pipeline.inputs import check_recipe as check_recipe
    from jp_adapt.pipeline.open_run import open_run as open_run
    from jp_adapt.pipeline.report import rebuild_report as rebuild_report
    from jp_adapt.pipeline.run import run_recipe as run_recipe
    from jp_adapt.pipeline.status import run_status as run_status
    from jp_adapt.recipe.load import load_recipe as load_recipe
    from jp_adapt.tokenizer.extend import extend_tokenizer as extend_tokenizer
    from jp_adapt.tokenizer.learn import learn_tokens as learn_tokens
    from jp_adapt.tokenizer.load import load_tokenizer as load_tokenizer
    from jp_adapt.tokenizer.measurable import load_measurable as load_measurable
    from jp_adapt.tokenizer.measure import Measure as Measure
    from jp_adapt.tokenizer.measure import measure_tokenizer as measure_tokenizer
    from jp_adapt.tokenizer.prefix import prefix_tokenizer as prefix_tokenizer
    from jp_adapt.tokenizer.repair import repair_tokenizer as repair_tokenizer
    from jp_adapt.tokenizer.save import save_tokenizer as save_tokenizer
    from jp_adapt.tokenizer.verify import Criterion as Criterion
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
    "EvolveTask": "commands.evolve",
    "evolve": "commands.evolve",
    "merge_adapter": "export.adapter",
    "export_gguf": "export.gguf",
    "evaluate": "commands.evaluate",
    "evaluate_matrix": "commands.matrix",
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
    "AdviceOptions": "commands.advise",
    "advise": "commands.advise",
    "EvalOptions": "commands.evaluate",
    "JudgeOptions": "commands.judge",
    "judge": "commands.judge",
    "plan_judging": "commands.judge",
    "plan_recipe": "commands.plan",
    "prepare_corpus": "commands.from_python",
    "corpus_stats": "commands.from_python",
    "build_tokenizer": "commands.from_python",
    "compare_tokenizers": "commands.from_python",
    "check_recipe": "pipeline.inputs",
    "run_status": "pipeline.status",
    "rebuild_report": "pipeline.report",
    "load_measurable": "tokenizer.measurable",
    "Criterion": "tokenizer.verify",
    "Measure": "tokenizer.measure",
    "Scores": "evaluation.results",
    "shipped_recipes": "core.shipped",
    "shipped_benchmarks": "core.shipped",
    "shipped_suites": "core.shipped",
    "shipped_corpora": "core.shipped",
}
__all__ = sorted(_HOMES)


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'jp_adapt' has no attribute '{name}'")
    return getattr(import_module(f"jp_adapt.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return __all__
