"""llm-jp-eval's own dataset processors, and its own `get_evaluation_prompt`, run on our data. Needs xmltodict."""

from __future__ import annotations

import ast
import importlib
import json
import logging
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from tests.parity.compare import Asked, Questions

JGLUE = {
    name: (f"jglue/datasets/{name}-v1.3/train-v1.3.json", f"jglue/datasets/{name}-v1.3/valid-v1.3.json")
    for name in ("jcommonsenseqa", "jnli", "jsquad", "jsts")
}
# Our benchmark -> (module of theirs, class, name, {its raw file: ours}).
FILES = {
    **{
        f"ja/{name}": (name, cls, {f"{name}_train.json": JGLUE[name][0], f"{name}_test.json": JGLUE[name][1]})
        for name, cls in (
            ("jcommonsenseqa", "JCommonsenseQADatasetProcessor"),
            ("jnli", "JNLIDatasetProcessor"),
            ("jsquad", "JSQuADDatasetProcessor"),
            ("jsts", "JSTSDatasetProcessor"),
        )
    },
    "ja/jsick": ("jsick", "JSICKDatasetProcessor", {"jsick_train.tsv": "jsick/jsick/train.tsv", "jsick_test.tsv": "jsick/jsick/test.tsv"}),
    "ja/janli": ("janli", "JaNLIDatasetProcessor", {"janli.tsv": "janli/janli.tsv"}),
    "ja/niilc": (
        "niilc",
        "NIILCDatasetProcessor",
        {"niilc_train.xml": "niilc/data/NIILC-ECQA2015_dev.xml", "niilc_test.xml": "niilc/data/NIILC-ECQA2015_test.xml"},
    ),
    "ja/jemhopqa": (
        "jemhopqa",
        "JEMHopQADatasetProcessor",
        {"jemhopqa_train.json": "jemhopqa/corpus/train.json", "jemhopqa_test.json": "jemhopqa/corpus/dev.json"},
    ),
    "ja/jcola-in-domain": (
        "jcola",
        "JCoLAInDomainDatasetProcessor",
        {f"jcola-in-domain/in_domain_{split}-v1.0.json": f"jcola/data/jcola-v1.0/in_domain_{split}-v1.0.json" for split in ("train", "valid")},
    ),
    "ja/jcola-out-of-domain": (
        "jcola",
        "JCoLAOutOfDomainDatasetProcessor",
        {"jcola-out-of-domain/out_of_domain_valid-v1.0.json": "jcola/data/jcola-v1.0/out_of_domain_valid-v1.0.json"},
    ),
    "ja/jmmlu": ("jmmlu", "JMMLUDatasetProcessor", {}),
}
SHOTS = (4, 0)


@dataclass
class PromptTemplate:
    """What of langchain's class of this name the peer uses: a template in the form of `str.format`."""

    input_variables: list[str]
    template: str

    def format(self, **values: str) -> str:
        """Filled in."""
        return self.template.format(**values)


def release_1_1(clone: Path, data: Path, work: Path) -> dict[tuple[str, str], Questions]:
    """What 1.1.1 asks, with the shots that its configuration has and with none."""
    return _asked(clone, data, work, "llm-jp-eval-1.1")


def release_1_3(clone: Path, data: Path, work: Path) -> dict[tuple[str, str], Questions]:
    """What 1.3.0 asks."""
    return _asked(clone, data, work, "llm-jp-eval-1.3")


def _asked(clone: Path, data: Path, work: Path, profile: str) -> dict[tuple[str, str], Questions]:
    results: dict[tuple[str, str], Questions] = {}
    source = clone / "src"
    prompt_of = _function(source / "llm_jp_eval" / "utils.py", "get_evaluation_prompt")
    try:
        _make_importable(source)
        logging.disable()
        for benchmark, (module, cls, files) in FILES.items():
            if not (source / "llm_jp_eval" / "datasets" / f"{module}.py").is_file():
                continue
            if any(not (data / file).is_file() for file in files.values()):
                continue
            folder = work / profile / cls
            arguments = [folder, "0"] if profile == "llm-jp-eval-1.3" else [folder]
            theirs_module = importlib.import_module(f"llm_jp_eval.datasets.{module}")
            processor = getattr(theirs_module, cls)(*arguments)
            raw = processor.raw_dir if profile == "llm-jp-eval-1.3" else processor.cache_dir
            if module == "jmmlu":
                files = {f"jmmlu_{path.name}": path.relative_to(data).as_posix() for path in (data / "jmmlu" / "JMMLU").glob("*.csv")}
                theirs_module.FILENAMES = [name for name in theirs_module.FILENAMES if f"jmmlu_{name}.csv" in files]
            for theirs, file in files.items():
                (raw / theirs).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(data / file, raw / theirs)
            processor.preprocess_evaluation_data()
            for shots in SHOTS:
                results[benchmark, f"{profile}/{shots}-shot"] = _questions(processor, prompt_of, profile, shots)
    finally:
        logging.disable(logging.NOTSET)
    return results


def _make_importable(source: Path) -> None:
    """The package without its `__init__`, which imports every data set, and with them packages that these do not need."""
    for module in [name for name in sys.modules if name.partition(".")[0] == "llm_jp_eval"]:
        del sys.modules[module]
    for package in ("llm_jp_eval", "llm_jp_eval.datasets"):
        sys.modules[package] = ModuleType(package)
        sys.modules[package].__path__ = [str(source / package.replace(".", "/"))]


def _questions(processor: Any, prompt_of: Any, profile: str, shots: int) -> Questions:
    tested = json.loads((processor.evaluation_dir / "test" / f"{processor.data_name}.json").read_text(encoding="utf-8"))
    if profile == "llm-jp-eval-1.3":
        training = json.loads((processor.evaluation_dir / "train" / f"{processor.data_name}.json").read_text(encoding="utf-8"))
        sample = importlib.import_module("llm_jp_eval.datasets.base").Sample
        prompt = prompt_of(tested["instruction"], [sample(**entry) for entry in training["samples"][:shots]])
    else:
        prompt = prompt_of(tested["instruction"], tested["few_shots"], shots)
    items = [Asked(prompt.format(input=entry["input"]), (entry["output"],)) for entry in tested["samples"]]
    return Questions(items, tested["output_length"])


def _function(path: Path, name: str) -> Any:
    """One function of a module that cannot be imported whole (it loads a model as it is imported), compiled from its own source."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    tree.body = [node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == name]
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef):
            node.returns = None
            for argument in node.args.args:
                argument.annotation = None
    namespace: dict[str, Any] = {"PromptTemplate": PromptTemplate}
    exec(compile(tree, str(path), "exec"), namespace)
    return namespace[name]
