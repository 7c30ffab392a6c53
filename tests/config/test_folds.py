"""Folds against what else a config asks for."""

from __future__ import annotations

from typing import Any

import pytest

from foxnas.config.whole import load_config
from foxnas.errors import FoxnasError
from tests.support.configs import written_out
from tests.support.invalidation import BASES, changed


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ({"supernet.source": "checkpoint"}, "supernet.folds is 3, but supernet.source is checkpoint: .*; write 1"),
        ({"data.evaluate_on": "held-out"}, "data.evaluate_on is held-out, so that .*; write 1, or evaluate_on: train"),
        ({"data.splits.fit": 2001}, "2 x 2001 images of the train split .*, but it has 4000; write 2 at most"),
        ({"refinement.rounds": 2}, r"refinement.rounds is 2: its rounds evaluate on the fit split alone"),
        ({"refinement.acquisition.rounds": 1}, r"refinement.acquisition.rounds is 1: its rounds evaluate on"),
    ],
)
def test_what_contradicts_folds_is_refused_with_the_way_out(lines: dict[str, Any], said: str) -> None:
    config = BASES["folded"].config()
    assert load_config(config, "").supernet.folds == 3
    with pytest.raises(FoxnasError, match=said):
        load_config(changed(config, lines), "")


def test_one_supernet_is_the_default() -> None:
    assert written_out("photos")["supernet"]["folds"] == 1
