"""No code of a model repository is ever run: every call that could do so says `trust_remote_code=False`, in so many words."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[1] / "jp_adapt"
LOADERS = {"from_pretrained", "LLM", "pipeline"}
AUTO_LOADERS = {"from_config"}  # of transformers' Auto classes


def loads_without_refusal(source: str) -> list[str]:
    """Calls that load a model, tokenizer or configuration and do not say `trust_remote_code=False`; "True" anywhere counts too."""
    wrong = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call):
            name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            owner = getattr(node.func.value, "id", "") if isinstance(node.func, ast.Attribute) else ""
            said = [word.value for word in node.keywords if word.arg == "trust_remote_code"]
            refused = any(isinstance(value, ast.Constant) and value.value is False for value in said)
            if (name in LOADERS or (name in AUTO_LOADERS and owner.startswith("Auto")) or said) and not refused:
                wrong.append(f"line {node.lineno}: {ast.unparse(node.func)}")
        elif isinstance(node, ast.Constant) and node.value == "trust_remote_code":
            wrong.append(f"line {node.lineno}: 'trust_remote_code' as a text")
    return wrong


@pytest.mark.parametrize(
    ("source", "wrong"),
    [
        ("AutoTokenizer.from_pretrained(x)", ["line 1: AutoTokenizer.from_pretrained"]),
        ("AutoTokenizer.from_pretrained(x, **options)", ["line 1: AutoTokenizer.from_pretrained"]),
        ("AutoModel.from_config(x, trust_remote_code=True)", ["line 1: AutoModel.from_config"]),
        ("f(x, trust_remote_code=flag)", ["line 1: f"]),
        ("options = {'trust_remote_code': True}", ["line 1: 'trust_remote_code' as a text"]),
        ("vllm.LLM(model=x)", ["line 1: vllm.LLM"]),
        ("AutoTokenizer.from_pretrained(x, trust_remote_code=False), from_config(y)", []),
    ],
)
def test_a_call_without_refusal_is_seen(source: str, wrong: list[str]) -> None:
    assert loads_without_refusal(source) == wrong


def test_no_code_of_others_is_run() -> None:
    wrong = {str(path.relative_to(PACKAGE)): loads_without_refusal(path.read_text(encoding="utf-8")) for path in PACKAGE.rglob("*.py")}
    assert len(wrong) > 200
    assert {path: lines for path, lines in wrong.items() if lines} == {}
