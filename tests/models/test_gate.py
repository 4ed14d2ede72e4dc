import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from napari_her2.core.score import Stain
from napari_her2.models.agreement import section_agreement
from napari_her2.models.gate import Gate, gate_factor, select, typicality
from napari_her2.training.statistics import agreement_threshold


def angle_gate(q, q_with, p, p_with, counts=100.0):
    """Return a gate and two embeddings that give exactly these four numbers."""
    # two opposite classes: the softmax over cosines c and -c at 0.1 gives q
    one, other = (0.05 * math.log(share / (1 - share)) for share in (q, q_with))
    embeddings = [torch.tensor([c, math.sqrt(1 - c * c)]) for c in (one, other)]
    normal = torch.distributions.Normal(0.0, 1.0)

    def spread(cosine, typical):
        return (1 - cosine) / float(normal.icdf(torch.tensor(1 - typical / 2)))

    spreads = torch.tensor(
        [[spread(one, p)] * 2, [1.0] * 2, [spread(other, p_with)] * 2]
    )
    prototypes = torch.tensor([[1.0, 0.0], [-1.0, 0.0]]).expand(3, 2, 2)
    gate = Gate(
        torch.zeros(2),
        torch.eye(2),
        prototypes,
        spreads,
        torch.full((3, 2), counts),
        torch.tensor([-1.0, -1.0]),
    )
    return gate, *embeddings


def test_typicality_follows_the_normal_distribution():
    p = typicality(
        torch.tensor([0.0, 1.0, 1.96], dtype=torch.float64), torch.tensor(1.0)
    )
    assert p.tolist() == pytest.approx([1, 0.317311, 0.049996], abs=1e-6)


def test_the_reward_of_the_paper():
    gate, one, with_it = angle_gate(0.6, 0.8, 0.3, 0.9)
    (verdict,) = gate.decide(one[None], with_it[None], Stain.HE)
    assert verdict.reward == pytest.approx(0.2, abs=1e-4)
    assert verdict.accepted
    assert verdict.confidence == pytest.approx(0.6, abs=1e-5)
    gate, one, with_it = angle_gate(0.6, 0.8, 0.5, 0.25)
    (verdict,) = gate.decide(one[None], with_it[None], Stain.HE)
    assert verdict.reward == pytest.approx(-0.2, abs=1e-4)
    assert not verdict.accepted
    assert "untypical" in verdict.reason
    assert gate_factor(0.5, 0.25) == pytest.approx(0.5)


def test_a_class_with_few_samples_is_not_held_untypical():
    gate, one, with_it = angle_gate(0.6, 0.8, 0.5, 0.25, counts=19)
    (verdict,) = gate.decide(one[None], with_it[None], Stain.HE)
    assert verdict.reward == pytest.approx(0.2, abs=1e-4)


def test_without_candidates_there_is_no_round():
    def reward(held, name):
        raise AssertionError

    both = frozenset({"he", "ihc"})
    assert select(both, frozenset(), reward).rounds == 0
    assert select(both, both, reward).rounds == 0


@given(st.dictionaries(st.sampled_from("abcdef"), st.floats(-1, 1), max_size=6))
def test_the_loop_ends_and_does_not_depend_on_the_order(worth):
    def reward(held, name):
        return worth[name] - 0.1 * (len(held) - 1)

    candidates = frozenset(worth)
    found = select(frozenset({"x"}), candidates, reward)
    assert found.rounds <= len(candidates)
    assert len(set(found.accepted)) == len(found.accepted)
    assert all(worth[name] > 0 for name in found.accepted)
    values = [worth[name] for name in found.accepted]
    assert values == sorted(values, reverse=True)
    reordered = select(frozenset({"x"}), frozenset(sorted(worth, reverse=True)), reward)
    assert reordered == found


def test_what_was_dropped_never_comes_back():
    def reward(held, name):
        return {"a": 0.5, "b": 0.9 if "a" in held else -0.1}[name]

    assert select(frozenset("x"), frozenset("ab"), reward).accepted == ("a",)


def plain_gate(embeddings, labels):
    """Return a gate whose embeddings are used as they are."""
    points = {k: torch.nn.functional.normalize(v, dim=1) for k, v in embeddings.items()}
    prototypes, spreads = [], []
    for name in ("he", "ihc", "he+ihc"):
        means = torch.stack([points[name][labels == k].mean(0) for k in (0, 1)])
        means = torch.nn.functional.normalize(means, dim=1)
        away = 1 - (points[name] * means[labels]).sum(1)
        prototypes.append(means)
        spreads.append(torch.stack([away[labels == k].norm() for k in (0, 1)]))
    width, count = prototypes[0].shape[1], len(labels) // 2
    return Gate(
        torch.zeros(width),
        torch.eye(width),
        torch.stack(prototypes),
        torch.stack(spreads) / count**0.5,
        torch.full((3, 2), float(count)),
        torch.tensor([-1.0, -1.0]),
    )


def test_noise_is_rejected_and_a_perfect_recovery_accepted_on_two_gaussians():
    generator = torch.Generator().manual_seed(3)
    labels = torch.arange(600) % 2
    sign = (2.0 * labels - 1)[:, None]

    def sample(signal):
        return signal * sign + torch.randn(600, 256, generator=generator)

    def beside(weak, strong):
        return torch.cat([weak, strong], 1)

    weak, strong = sample(0.01), sample(1.0)
    nothing = torch.zeros_like(weak)
    gate = plain_gate(
        {
            "he": beside(weak, nothing),
            "ihc": beside(nothing, strong),
            "he+ihc": beside(weak, strong),
        },
        labels,
    )
    weak, strong, noise = sample(0.01), sample(1.0), sample(0.0)
    alone = beside(weak, nothing)
    perfect = gate.decide(alone, beside(weak, strong), Stain.HE)
    spoiled = gate.decide(alone, beside(weak, noise), Stain.HE)
    assert sum(v.accepted for v in perfect) / 600 > 0.95
    assert sum(not v.accepted for v in spoiled) / 600 > 0.95


def nuclei(seed, n=4):
    """Return dark blobs at places that the seed decides, and their negative colours."""
    generator = torch.Generator().manual_seed(seed)
    field = torch.rand(n, 1, 32, 32, generator=generator)
    return torch.nn.functional.interpolate(field, scale_factor=8, mode="bicubic")


def test_another_section_does_not_agree():
    places, others = nuclei(1).clamp(0, 1), nuclei(2).clamp(0, 1)
    he = 1 - places * torch.tensor([0.5, 0.6, 0.3]).view(1, 3, 1, 1)
    ihc = 1 - (places * torch.tensor([0.3, 0.3, 0.5]).view(1, 3, 1, 1)).sqrt() * 0.7
    other = 1 - others * torch.tensor([0.3, 0.3, 0.5]).view(1, 3, 1, 1)
    assert section_agreement(he, ihc).min() > 0.8
    assert section_agreement(he, other).abs().max() < 0.2
    assert section_agreement(he, torch.ones_like(he)).tolist() == [0.0] * 4


def test_a_reconstruction_of_another_section_is_rejected_for_that_reason():
    gate, one, with_it = angle_gate(0.6, 0.8, 0.3, 0.9)
    state = gate.state() | {"min_agreement": torch.tensor([0.5, 0.5])}
    gate = Gate.from_state(state, {})
    real, wrong = 1 - nuclei(1, 1).clamp(0, 1), 1 - nuclei(2, 1).clamp(0, 1)
    real, wrong = (image.expand(-1, 3, -1, -1) for image in (real, wrong))
    (right,) = gate.decide(one[None], with_it[None], Stain.HE, real, real)
    assert right.accepted
    assert right.agreement == pytest.approx(1)
    (verdict,) = gate.decide(one[None], with_it[None], Stain.HE, real, wrong)
    assert not verdict.accepted
    assert "does not lie on this section" in verdict.reason
    assert verdict.reward > 0


def test_a_fitted_reward_takes_what_makes_the_call_no_surer():
    gate, one, with_it = angle_gate(0.8, 0.6, 0.3, 0.9)
    (strict,) = gate.decide(one[None], with_it[None], Stain.HE)
    assert strict.reward < 0
    assert not strict.accepted
    fitted = torch.tensor([strict.reward - 0.01, 0.0])
    lenient = Gate.from_state(gate.state() | {"min_reward": fitted})
    (taken,) = lenient.decide(one[None], with_it[None], Stain.HE)
    assert taken.accepted
    assert taken.reward == strict.reward
    assert "no surer" in taken.reason


def test_a_bundle_without_a_fitted_reward_asks_for_one_above_zero():
    gate, _, _ = angle_gate(0.6, 0.8, 0.3, 0.9)
    older = {k: v for k, v in gate.state().items() if k != "min_reward"}
    assert Gate.from_state(older).min_reward.tolist() == [0, 0]


def test_the_threshold_lies_between_right_and_wrong():
    assert agreement_threshold([0.6, 0.7, 0.8], [0.0, 0.1, 0.2]) == pytest.approx(0.4)


@pytest.mark.parametrize("name", ["spreads", "prototypes", "min_agreement", "counts"])
def test_nonsense_is_refused(name):
    gate, _, _ = angle_gate(0.6, 0.8, 0.3, 0.9)
    state = gate.state()
    with pytest.raises(KeyError):
        Gate.from_state({k: v for k, v in state.items() if k != name})
    with pytest.raises(ValueError, match="finite"):
        Gate.from_state({**state, name: state[name] * torch.nan})
    with pytest.raises(ValueError, match="fit each other"):
        Gate.from_state({**state, "spreads": state["spreads"][:1]})
