"""Reference numbers for probes with few labels and weak penalties: `python3 tests/reference/weak_penalty.py` writes
weak_penalty.json.

The features are scikit-learn's handwritten digits, as in cluster.py; the first 60 are for training, those from 1200 on for
testing. 60 images of 64 pixels can be told apart without error, so the cost falls with the penalty.
"""

import json
import pathlib

import numpy as np
import sklearn
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.preprocessing import StandardScaler

LABELS = 60
TEST = 1200

features, classes = load_digits(return_X_y=True)
train, train_classes = features[:LABELS], classes[:LABELS]
test, test_classes = features[TEST:], classes[TEST:]
scaler = StandardScaler().fit(train)


def case(c):
    model = LogisticRegression(C=c, tol=1e-10, max_iter=1_000_000).fit(scaler.transform(train), train_classes)
    loss = log_loss(train_classes, model.predict_proba(scaler.transform(train)))
    penalty = (model.coef_**2).sum() / (2 * c * LABELS)
    accuracy = model.score(scaler.transform(test), test_classes)
    return {"c": c, "cost": loss + penalty, "accuracy": accuracy}


reference = {
    "versions": {"numpy": np.__version__, "scikit-learn": sklearn.__version__},
    "labels": LABELS,
    "test": TEST,
    "cases": [case(c) for c in [0.01, 1.0, 10.0, 100.0, 1000.0, 1e6]],
}
path = pathlib.Path(__file__).with_suffix(".json")
path.write_text(json.dumps(reference, indent=1) + "\n")
