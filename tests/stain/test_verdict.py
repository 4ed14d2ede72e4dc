import math

import pytest

from napari_her2.core.score import Stain
from napari_her2.stain.verdict import Agreement, judge_stain

HE_COLOURS, IHC_COLOURS, UNCLEAR, NONE = 0.5, 0.95, 0.82, math.nan


@pytest.mark.parametrize(
    ("declared", "probability", "share", "agreement"),
    [
        (Stain.HE, 0.95, HE_COLOURS, Agreement.MATCHES),
        (Stain.HE, 0.95, UNCLEAR, Agreement.MATCHES),
        (Stain.HE, 0.95, NONE, Agreement.MATCHES),
        (Stain.HE, 0.95, IHC_COLOURS, Agreement.UNSURE),
        (Stain.HE, 0.89, HE_COLOURS, Agreement.UNSURE),
        (Stain.HE, 0.11, IHC_COLOURS, Agreement.UNSURE),
        (Stain.HE, 0.05, IHC_COLOURS, Agreement.MISMATCH),
        (Stain.HE, 0.05, HE_COLOURS, Agreement.UNSURE),
        (Stain.IHC, 0.95, IHC_COLOURS, Agreement.MATCHES),
        (Stain.IHC, 0.02, HE_COLOURS, Agreement.MISMATCH),
        (Stain.IHC, math.nan, HE_COLOURS, Agreement.UNSURE),
    ],
)
def test_selector_and_colours_are_weighed(declared, probability, share, agreement):
    verdict = judge_stain(declared, probability, share)
    assert verdict.agreement is agreement
    assert verdict.reason


def test_the_limit_can_be_chosen():
    assert judge_stain(Stain.HE, 0.8, 0.5, sure=0.7).agreement is Agreement.MATCHES


def test_a_mismatch_names_both_stains():
    verdict = judge_stain(Stain.IHC, 0.01, HE_COLOURS)
    assert verdict.reason == "It was given as HER2 IHC but looks like H&E."
