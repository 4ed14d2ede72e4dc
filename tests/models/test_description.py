from dataclasses import replace

from napari_her2.models.config import DEMO, REFERENCE
from napari_her2.models.description import parameter_counts

PUBLISHED = {
    "classifier": 26_509_958,
    "shared": 23_508_032,
    "specific_he": 927_008,
    "specific_ihc": 927_008,
    "projections": 524_288 + 2 * 147_456,
    "composition": 131_072,
    "fusion": 131_072,
    "cam": 64_000,
    "head": 2_052,
    "domain": 514,
    "generator_plain": 11_383_427,
    "discriminator": 2_768_705,
    "selector": 5_601_954,
}


def test_the_reference_has_the_published_counts():
    counts = parameter_counts(REFERENCE)
    assert {part: counts[part] for part in PUBLISHED} == PUBLISHED
    parts = list(PUBLISHED)[1:10]
    assert sum(counts[part] for part in parts) == counts["classifier"]
    # 9 blocks: a second branch and 98 weights of attention; two skips
    block = 256 * 256 * 9 + 2 * 256 + 98
    skips = 2 * 128 * 128 + 128 + 2 * 64 * 64 + 64
    extra = counts["generator"] - counts["generator_plain"]
    assert extra == 9 * block + skips


def test_comparison_arms_lack_what_they_are_compared_about():
    counts = parameter_counts(DEMO)
    concat = parameter_counts(replace(DEMO, fusion="concat"))
    mean = parameter_counts(replace(DEMO, fusion="masked_mean"))
    assert (concat["cam"], mean["cam"]) == (0, 0)
    assert (concat["fusion"], mean["fusion"]) == (counts["fusion"], 0)
    assert concat["head"] == mean["head"] == counts["head"]
