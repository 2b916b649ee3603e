"""Parts of a training stage: the short forms of a source and a phase, and a budget of one kind."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from jp_adapt.recipe.training_parts import Budget, Phase, Weighted


def test_a_bare_name_has_the_weight_1_and_a_bare_number_the_share_1() -> None:
    assert Weighted.model_validate("ja") == Weighted(source="ja", weight=1.0)
    assert Phase.model_validate(400) == Phase(new_tokens=400, share=1.0)
    assert Phase.model_validate("all").new_tokens == "all"


@pytest.mark.parametrize("both", [{}, {"tokens": 10, "epochs": 1.0}])
def test_a_budget_is_in_tokens_or_in_epochs(both: dict[str, float]) -> None:
    with pytest.raises(ValidationError, match="give either 'tokens' or 'epochs'"):
        Budget.model_validate(both)
