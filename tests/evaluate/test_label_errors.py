"""Likely wrong labels, held against cleanlab."""

import numpy as np
import pytest
from numpy.typing import NDArray

from retrain.evaluate.label_errors import confident_joint, doubts, thresholds


def noisy(
    seed: int, pictures: int, categories: int
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Return what unsure heads say, and labels of which a tenth is wrong."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, categories, pictures)
    logits = rng.normal(size=(pictures, categories)) + 3 * np.eye(categories)[truth]
    scores = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    other = rng.integers(0, categories, pictures)
    labels = np.where(rng.random(pictures) < 0.1, other, truth)
    return scores.astype(np.float32), labels


@pytest.mark.slow
@pytest.mark.parametrize(("pictures", "categories"), [(500, 3), (2000, 10), (40, 2)])
def test_it_agrees_with_cleanlab(pictures: int, categories: int) -> None:
    count, filters, rank = (
        pytest.importorskip(f"cleanlab.{name}") for name in ("count", "filter", "rank")
    )
    scores, labels = noisy(pictures, pictures, categories)
    found = doubts(scores, labels)
    margins = rank.get_normalized_margin_for_each_label(labels, scores)
    np.testing.assert_allclose(found.margin, margins, atol=1e-6)
    np.testing.assert_allclose(
        thresholds(scores, labels), count.get_confident_thresholds(labels, scores), atol=1e-6
    )
    joint = count.compute_confident_joint(labels, scores, calibrate=False)
    np.testing.assert_array_equal(confident_joint(found.confident, labels, categories), joint)
    theirs = filters.find_label_issues(
        labels,
        scores,
        filter_by="confident_learning",
        return_indices_ranked_by="normalized_margin",
        n_jobs=1,
    )
    ours = found.wrong(labels)
    assert set(theirs.tolist()) <= set(ours.tolist())
    assert [row for row in ours.tolist() if row in set(theirs.tolist())] == theirs.tolist()


def test_the_surest_mistakes_come_first() -> None:
    scores = np.array([[0.9, 0.1], [0.2, 0.8], [0.05, 0.95], [0.6, 0.4], [0.99, 0.01]], np.float32)
    labels = np.array([0, 0, 0, 1, 0])
    found = doubts(scores, labels)
    assert found.wrong(labels).tolist() == [2, 1, 3]
    assert found.best[2] == 1
    assert found.margin[2] == pytest.approx(0.05)


def test_a_category_without_a_picture_is_suggested_to_nobody() -> None:
    scores = np.array([[0.5, 0.1, 0.4], [0.3, 0.6, 0.1]], np.float32)
    found = doubts(scores, np.array([0, 1]))
    assert found.confident.tolist() == [0, 1]
    assert found.wrong(np.array([0, 1])).tolist() == []
