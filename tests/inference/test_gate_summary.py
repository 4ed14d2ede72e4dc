"""One verdict for a region from those of its tiles."""

from hypothesis import given
from hypothesis import strategies as st

from napari_her2.core.records import GateVerdict
from napari_her2.inference.gate_summary import summed_up

shares = st.floats(0, 1)
verdicts = st.builds(
    GateVerdict, st.booleans(), st.floats(-1, 1), shares, shares, shares, shares,
    st.just(""),
)  # fmt: skip
areas = st.floats(1, 1e6)

ACCEPTED = GateVerdict(True, 0.5, 0.25, 0.75, 0.5, 0.5, "")
UNSURE = GateVerdict(False, -0.25, 0.75, 0.5, 0.5, 0.5, "")
UNTYPICAL = GateVerdict(False, -0.25, 0.5, 0.75, 0.5, 0.125, "")


def test_nothing_to_decide_gives_no_verdict():
    assert summed_up([]) is None


@given(st.lists(st.tuples(verdicts, areas), min_size=1))
def test_the_numbers_are_those_of_the_side_that_won(pairs):
    summary = summed_up(pairs)
    won = [v for v, _ in pairs if v.accepted == summary.accepted]
    rewards = [v.reward for v in won]
    assert min(rewards) - 1e-9 <= summary.reward <= max(rewards) + 1e-9


def test_the_reason_says_why():
    assert summed_up([(ACCEPTED, 3.0), (UNSURE, 1.0)]).reason == (
        "it made the call surer"
    )
    assert "did not make the call surer" in summed_up([(UNSURE, 1.0)]).reason
    assert "untypical of its class" in summed_up([(UNTYPICAL, 1.0)]).reason
