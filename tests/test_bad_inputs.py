"""Inputs of a user that no run can use: each gets one sentence, and a page says which."""

from __future__ import annotations

import pytest

from tests.support.bad_inputs import PAGE, page, refusals

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:torch", "ignore:torch.quantize")


def test_every_bad_input_gets_one_sentence_and_the_page_says_which() -> None:
    """Anything but a FoxnasError, such as a bare KeyError, fails here, and so does an input that is taken."""
    found = list(refusals())
    assert len({(kind, given) for kind, given, _ in found}) == len(found) >= 60
    for kind, given, said in found:
        assert said.isprintable(), (kind, given)
        assert 20 < len(said) < 600, (kind, given)
    assert PAGE.read_text() == page(found), "run: python -m tests.support.bad_inputs"
