"""The trained tagger: TF-IDF over n-grams, a linear classifier, calibrated probabilities.

Belongs here: fitting on texts with labels, probabilities, measures, a model's files. Does not belong here: which texts
(`training.py`), what becomes of a tag (`stage.py`).

A model is plain numbers: arrays in an .npz (read without pickle) and JSON. Fitting is deterministic.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from kimi_pipeline.curation.tagging.features import Features, Grams
from kimi_pipeline.digests import folder_digest
from kimi_pipeline.folders import scratch_folder

if TYPE_CHECKING:
    from scipy import sparse

PENALTY = 0.8  # C of the linear classifier; cross-validation on MATH is flat from 0.5 to 1
FOLDS = 5
BINS = 15  # of the expected calibration error
ARRAYS, WORDS = "model.npz", "vocabulary.json"

Array = np.ndarray[Any, np.dtype[Any]]


@dataclass(frozen=True, slots=True)
class Classifier:
    """A fitted model. `coefficients` are (classes, features); `scale` (classes, classes) and `shift` turn the linear
    classifier's margins into logits of calibrated probabilities."""

    classes: tuple[str, ...]
    features: Features
    idf: Array
    coefficients: Array
    intercepts: Array
    scale: Array
    shift: Array

    def probabilities(self, texts: Sequence[str]) -> Array:
        """Calibrated probabilities, (texts, classes)."""
        if not texts:
            return np.empty((0, len(self.classes)))
        from scipy.special import softmax

        return softmax(_margins(self, self.features.counts(texts)) @ self.scale.T + self.shift, axis=1)

    def save(self, folder: Path) -> str:
        """Write the model below `folder` under the digest of its content; returns that digest."""
        streams = {"plain": self.features.plain, "stems": self.features.stems}
        arrays = {
            f"{name}_{kind}": getattr(grams, kind) for name, grams in streams.items() for kind in ("pairs", "triples")
        }
        for name in ("idf", "coefficients", "intercepts", "scale", "shift"):
            arrays[name] = getattr(self, name)
        words = {name: list(grams.words) for name, grams in streams.items()}
        with scratch_folder(folder) as scratch:
            np.savez(scratch / ARRAYS, **arrays)
            (scratch / WORDS).write_text(json.dumps({"classes": self.classes, **words}, ensure_ascii=False))
            named = folder_digest(scratch)
            with contextlib.suppress(OSError):  # the same model is there already
                os.rename(scratch, folder / named)
        return named

    @classmethod
    def load(cls, folder: Path) -> Classifier:
        """The model in a folder. No pickle is read: a model file can't run code."""
        words = json.loads((folder / WORDS).read_text())
        with np.load(folder / ARRAYS, allow_pickle=False) as stored:
            arrays = {name: stored[name] for name in stored.files}
        grams = [
            Grams({w: n for n, w in enumerate(words[name])}, arrays.pop(f"{name}_pairs"), arrays.pop(f"{name}_triples"))
            for name in ("plain", "stems")
        ]
        return cls(tuple(words["classes"]), Features(*grams), **arrays)


def fit(texts: Sequence[str], labels: Sequence[str]) -> Classifier:
    """Fit on texts with their labels: at least two classes, each with at least `FOLDS` texts.

    Calibration: the margins of texts that the classifier did not see (cross-validation) against their labels, by
    multinomial logistic regression; one temperature for all classes left an error twice as large on MATH.
    """
    from sklearn.feature_extraction.text import TfidfTransformer
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedKFold, cross_val_predict
    from sklearn.svm import LinearSVC

    features = Features.fit(texts)
    counts = features.counts(texts)
    weights = TfidfTransformer(sublinear_tf=True).fit(counts)
    idf = weights.idf_.astype(np.float32)
    inputs, wanted = _weighted(counts, idf), np.asarray(labels)
    linear = LinearSVC(C=PENALTY, random_state=0)
    folds = StratifiedKFold(FOLDS, shuffle=True, random_state=0)
    unseen = cross_val_predict(linear, inputs, wanted, cv=folds, method="decision_function")
    linear.fit(inputs, wanted)
    coefficients, intercepts = _every_class(linear.coef_, linear.intercept_)
    calibration = LogisticRegression(max_iter=1000).fit(unseen if unseen.ndim == 2 else _pair(unseen), wanted)
    scale, shift = _every_class(calibration.coef_, calibration.intercept_)
    return Classifier(
        tuple(str(name) for name in linear.classes_),
        features,
        idf,
        coefficients.astype(np.float32),
        intercepts.astype(np.float32),
        scale,
        shift,
    )


def accuracy(probabilities: Array, wanted: Array) -> float:
    """Share of rows whose most probable class is the wanted one (`wanted`: class numbers)."""
    return float((probabilities.argmax(axis=1) == wanted).mean()) if len(wanted) else 0.0


def calibration_error(probabilities: Array, wanted: Array) -> float:
    """Expected calibration error: the mean gap of confidence and accuracy over `BINS` equal bins of confidence, weighted
    by their rows (Guo et al. 2017, arXiv 1706.04599)."""
    confidence, right = probabilities.max(axis=1), probabilities.argmax(axis=1) == wanted
    bins = np.minimum((confidence * BINS).astype(int), BINS - 1)
    inside = [bins == number for number in range(BINS)]
    return float(sum(abs(right[rows].mean() - confidence[rows].mean()) * rows.mean() for rows in inside if rows.any()))


def _margins(model: Classifier, counts: sparse.csr_matrix) -> Array:
    return np.asarray(_weighted(counts, model.idf) @ model.coefficients.T) + model.intercepts


def _weighted(counts: sparse.csr_matrix, idf: Array) -> sparse.csr_matrix:
    """TF-IDF with sublinear counts, each row of length 1: what TfidfTransformer does, in place."""
    from scipy import sparse

    data = (1 + np.log(counts.data)) * idf[counts.indices]
    rows = np.repeat(np.arange(counts.shape[0]), np.diff(counts.indptr))
    length = np.sqrt(np.bincount(rows, data * data, minlength=counts.shape[0]))
    data /= np.maximum(length, 1e-12)[rows]
    return sparse.csr_matrix((data.astype(np.float32), counts.indices, counts.indptr), shape=counts.shape)


def _pair(margins: Array) -> Array:
    return np.stack([-margins, margins], axis=1)


def _every_class(coefficients: Array, intercepts: Array) -> tuple[Array, Array]:
    """A row for each class also where there are two, for which scikit-learn keeps the second class's alone."""
    if len(coefficients) > 1:
        return coefficients, intercepts
    return np.concatenate([-coefficients, coefficients]), np.concatenate([-intercepts, intercepts])
