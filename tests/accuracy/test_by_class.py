"""Accuracy class by class, against scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn import metrics

from foxnas.accuracy.by_class import in_words, over_classes, recalls

RNG = np.random.default_rng(0)
#: Of the last class there are no images, and of one there is one.
TRUTH = np.append(RNG.choice(4, 500, p=(0.6, 0.2, 0.15, 0.05)), 4)
ANSWERS = np.where(RNG.random(501) < 0.7, TRUTH, RNG.integers(0, 4, 501))
NAMES = ["cat", "dog", "a|b", "rare", "once", "never"]


def test_the_mean_over_classes_is_balanced_accuracy() -> None:
    found = over_classes(ANSWERS == TRUTH, TRUTH, NAMES)
    assert found["mean_class_percent"] == pytest.approx(100 * metrics.balanced_accuracy_score(TRUTH, ANSWERS))
    assert found["classes_without_images"] == ["never"]
    recall = 100 * metrics.recall_score(TRUTH, ANSWERS, labels=range(5), average=None)
    worst = int(np.argmin(recall))
    images = int((worst == TRUTH).sum())
    label, of, percent = found["worst_class"].values()
    assert label == NAMES[worst]
    assert of == images
    assert percent == pytest.approx(recall[worst])
    assert in_words(found).endswith(f"worst {NAMES[worst]} {recall[worst]:.2f}% of {images} images")


def test_a_class_without_images_has_no_recall() -> None:
    *some, never = recalls(ANSWERS == TRUTH, TRUTH, NAMES)
    assert (never["images"], never["recall_percent"]) == (0, None)
    assert [row["images"] for row in some] == np.bincount(TRUTH).tolist()
