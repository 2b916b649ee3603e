"""Benchmarks as tasks of lm-evaluation-harness: a YAML and a JSONL each. The prompts are ready texts, shots included, so that both harnesses ask the same."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from jp_adapt.benchmarks.benchmark import Kind, Protocol
from jp_adapt.benchmarks.items import LoadedBenchmark, check_profile, load_benchmark, load_declaration, reads_shots
from jp_adapt.benchmarks.metrics import METRICS
from jp_adapt.benchmarks.profiles import Boundary, Start
from jp_adapt.core.errors import InputError, UsageError
from jp_adapt.core.files import new_folder, write_text
from jp_adapt.core.shipped import shipped_benchmarks
from jp_adapt.evaluation.lm_eval_scores import SCORING
from jp_adapt.evaluation.prompts import Prompt, build_prompts
from jp_adapt.inference.token_backend import MAX_TOKENS_PER_CHAR

CHOSEN = ("multiple_choice", "acceptability")
# A task is of no model: what stands before a text, and where a choice begins, is lm-eval's own.
STARTS: dict[Start, str] = {
    "document": "the token that begins a document, which this profile puts before every text: lm-eval puts there what the tokenizer itself puts",
    "nothing": "that nothing stands before a text, as in this profile: lm-eval puts there what the tokenizer itself puts, BOS for Llama",
}
BOUNDARIES: dict[Boundary, str] = {
    "safe": "where a choice begins: lm-eval cuts the tokens of prompt and choice at the length of the prompt's (see moved_boundaries)",
    "apart": "that prompt and choice are encoded apart: lm-eval encodes them together",
}


@dataclass
class Export:
    """Names of the tasks written, the benchmarks that are none, what of the others is lost: (benchmark, reason), and what no task carries."""

    tasks: list[str] = field(default_factory=list)
    left_out: list[tuple[str, str]] = field(default_factory=list)
    limits: list[tuple[str, str]] = field(default_factory=list)
    not_carried: list[str] = field(default_factory=list)


def export_lm_eval(out: Path, *, profile: str = "jp-adapt", benchmarks: Sequence[str] = (), data: Path | None = None) -> Export:
    """Write the new folder `out` for `lm_eval --include_path out`: all shipped benchmarks that have the profile, or those named.

    Raises:
        UsageError: an unknown benchmark or profile, a folder that exists, or nothing that can be exported.
        InputError: data of a named benchmark is missing or wrong (of those that were not named, such are left out).
    """
    check_profile(profile, benchmarks)
    export = Export()
    with new_folder(out) as target:
        for name in benchmarks or shipped_benchmarks():
            try:
                _export(name, profile, data, target, out.resolve(), export)
            except (InputError, UsageError) as error:
                if benchmarks:
                    raise
                export.left_out.append((name, str(error)))
        if not export.tasks:
            raise UsageError("nothing to export: " + "; ".join(f"{name}: {reason}" for name, reason in export.left_out))
    return export


def _export(name: str, profile: str, data: Path | None, target: Path, final: Path, export: Export) -> None:
    benchmark, _ = load_declaration(name)
    protocol = next((protocol for known, protocol in benchmark.protocols.items() if known == profile), None)
    if protocol is None:
        export.left_out.append((name, f"has no protocol of profile '{profile}'"))
        return
    if benchmark.rules(profile).chat:
        export.left_out.append((name, "it is asked in the model's chat template, and a task is a ready text"))
        return
    chosen = (protocol.kind or benchmark.kind) in CHOSEN
    metrics, missing = _metrics(protocol, chosen)
    reason = "its items have pictures" if benchmark.images is not None else _obstacle(protocol, protocol.kind or benchmark.kind, metrics)
    if reason is not None:
        export.left_out.append((name, reason))
        return
    loaded = load_benchmark(name, data, shots=reads_shots(name, benchmark, protocol, protocol.shots))
    _, prompts = build_prompts(loaded, profile)
    task = f"{re.sub(r'[^A-Za-z0-9.-]+', '_', name if name in shipped_benchmarks() else Path(name).stem).strip('_')}_{profile}"
    lines = [_choice_line(prompt) if chosen else _text_line(prompt, protocol) for prompt in prompts]
    write_text(target / f"{task}.jsonl", "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines))
    rules = benchmark.rules(profile)
    not_carried = [text for text in (STARTS.get(rules.start), BOUNDARIES.get(rules.boundary)) if text]
    write_text(target / f"{task}.yaml", _yaml(task, loaded, profile, protocol, metrics, final, not_carried))
    export.tasks.append(task)
    export.not_carried += [text for text in not_carried if text not in export.not_carried]
    if missing:
        export.limits.append((name, f"without {', '.join(missing)}, which lm-eval does not have"))
    if protocol.whole_context:
        export.limits.append((name, "its prompts may be as long as the model's positions: give lm-eval a max_length that holds them"))
    if benchmark.averages_groups(protocol):
        export.limits.append((name, "the mean of its items, not of its groups"))


def _obstacle(protocol: Protocol, kind: Kind, metrics: Sequence[str]) -> str | None:
    """Why a benchmark cannot be a task; None where it can."""
    if kind == "code":
        return "it runs programs that the model wrote, which lm-eval does without a sandbox"
    if kind == "judge":
        return "it is scored by a judge, turn by turn"
    if isinstance(protocol.max_tokens, str):
        return "its budget is the length of the right answer in the model's tokens"
    return None if metrics else f"lm-eval takes means over items of what their texts tell, and {', '.join(protocol.metrics)} are none"


def _metrics(protocol: Protocol, chosen: bool) -> tuple[list[str], list[str]]:
    """lm-eval's names of the metrics, and ours that it cannot give. Choices always have accuracy."""
    if not chosen:
        means = [metric for metric in protocol.metrics if not _of_more_than_texts(metric)]
        return means, [metric for metric in protocol.metrics if metric not in means]
    known = [name for metric in protocol.metrics if (name := METRICS[metric].lm_eval) is not None]
    return known if "acc" in known else ["acc", *known], [metric for metric in protocol.metrics if METRICS[metric].lm_eval is None]


def _of_more_than_texts(metric: str) -> bool:
    """Whether a metric is no mean over items, or needs more of an item or a model than texts."""
    facts = METRICS[metric]
    return facts.whole is not None or facts.weighted or facts.scored_by or facts.by_tokens


def _choice_line(prompt: Prompt) -> dict[str, Any]:
    return {"id": prompt.item.id, "group": prompt.item.group, "prompt": prompt.text, "choices": prompt.choices, "gold": prompt.item.answer}


def _text_line(prompt: Prompt, protocol: Protocol) -> dict[str, Any]:
    scoring = protocol.model_dump(mode="json", include=set(SCORING))
    return {"id": prompt.item.id, "group": prompt.item.group, "prompt": prompt.text, "answers": prompt.answers, "scoring": scoring}


def _yaml(task: str, loaded: LoadedBenchmark, profile: str, protocol: Protocol, metrics: Sequence[str], final: Path, not_carried: Sequence[str]) -> str:
    """JSON is YAML; only `!function`, a tag of lm-eval's, has to be written by hand."""
    chosen = (protocol.kind or loaded.benchmark.kind) in CHOSEN
    config: dict[str, Any] = {
        "task": task,
        "tag": f"jp_adapt_{profile}",
        "dataset_path": "json",
        "dataset_kwargs": {"data_files": {"test": str(final / f"{task}.jsonl")}},
        "test_split": "test",
        "num_fewshot": 0,
        "target_delimiter": "",
        "doc_to_text": "prompt",
    }
    if chosen:
        config |= {"output_type": "multiple_choice", "doc_to_choice": "choices", "doc_to_target": "gold"}
    else:
        budget = protocol.max_tokens or MAX_TOKENS_PER_CHAR * (protocol.max_chars or 1)
        config |= {"output_type": "generate_until", "doc_to_target": "answers"}
        config["generation_kwargs"] = {"until": protocol.stop, "max_gen_toks": budget, "do_sample": False}
    aggregations = {facts.lm_eval: facts.lm_eval_aggregation for facts in METRICS.values() if facts.lm_eval is not None}
    config["metric_list"] = [{"metric": entry, "aggregation": aggregations.get(entry, "mean"), "higher_is_better": True} for entry in metrics]
    benchmark = loaded.benchmark
    config["metadata"] = {"version": benchmark.version, "source": benchmark.source, "licence": benchmark.license, "shots": protocol.shots}
    lines = [f"{key}: {json.dumps(value, ensure_ascii=False)}" for key, value in config.items()]
    if not chosen:
        lines.append("process_results: !function jp_adapt.evaluation.lm_eval_scores.process_results")
    head = [
        f"# {benchmark.title}, profile {profile} of jp-adapt; its {protocol.shots} examples stand in the prompts.",
        *(f"# Not carried: {text}." for text in not_carried),
    ]
    return "\n".join([*head, *lines, ""])
