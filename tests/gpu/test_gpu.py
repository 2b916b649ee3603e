"""The script of `make gpu` itself: it runs whole with a tiny model on the CPU, and a kernel that is wrong does not pass."""

from __future__ import annotations

import pytest
import torch

from jp_adapt.model.causal import CausalModel
from tests.gpu import kernels
from tests.gpu.__main__ import CHECKS, run
from tests.gpu.scale import TOY

QUICK = ("losses", "attention", "scores")


@pytest.mark.skipif(torch.cuda.is_available(), reason="with CUDA `make gpu` itself runs")
def test_without_a_gpu_nothing_is_said_to_be_checked(capsys):
    assert run([]) == 2
    assert "no CUDA GPU: nothing was checked" in capsys.readouterr().out


def test_quick_checks_pass_on_a_cpu(capsys):
    assert run(["--toy", f"--only={','.join(QUICK)}"]) == 0
    said = capsys.readouterr().out
    assert " 0 not reached" in said
    assert "attention mask, float32: gradients of LoRA" in said


@pytest.mark.programs
@pytest.mark.filterwarnings("ignore")
def test_every_check_passes_on_a_cpu(capsys):
    assert run(["--toy"]) == 0, capsys.readouterr().out
    said = capsys.readouterr().out
    assert all(f"\n{name}\n" in said for name in CHECKS)


def test_a_wrong_loss_and_a_wrong_attention_are_seen(monkeypatch, capsys):
    right = kernels.linear_cross_entropy
    seen = []

    def wrong(hidden, base, new, targets):
        seen.append(hidden.dtype)
        return right(hidden, base, new, targets) * (1.0 if hidden.dtype == torch.float64 else 1.001)

    monkeypatch.setattr(kernels, "linear_cross_entropy", wrong)
    assert not all(row.reached is not False for row in kernels.losses(TOY))
    assert torch.float64 in seen
    monkeypatch.undo()
    forward = CausalModel.forward
    monkeypatch.setattr(CausalModel, "forward", lambda model, ids, positions=None, **options: forward(model, ids, None, **options))
    assert any(row.reached is False for row in kernels.attention(TOY)), "documents that see each other were not noticed"


def test_a_check_that_fails_does_not_keep_the_others_from_running(monkeypatch, capsys):
    def broken(scale):
        raise RuntimeError("out of luck")
        yield

    monkeypatch.setitem(CHECKS, "losses", broken)
    assert run(["--toy", "--only=losses,scores"]) == 1
    said = capsys.readouterr().out
    assert "RuntimeError" in said
    assert "greedy texts" in said


def test_an_unknown_check_is_named(capsys):
    assert run(["--toy", "--only=speed,nosuch"]) == 2
    assert "no check 'nosuch'; checks: losses, attention" in capsys.readouterr().out
