"""Cross-validated logistic regression by scikit-learn: `python3 tests/reference/cross_validation.py` writes the JSON beside it.

The features are scikit-learn's handwritten digits, as in cluster.py; the 5 folds are written down too, as a digit a row.
"""

import json
import pathlib

import numpy as np
import sklearn
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

features, classes = load_digits(return_X_y=True)
splits = list(StratifiedKFold(5, shuffle=True, random_state=0).split(features, classes))
folds = np.zeros(len(classes), int)
for fold, (_, inside) in enumerate(splits):
    folds[inside] = fold
cases = []
for c in [0.01, 1.0]:
    model = make_pipeline(StandardScaler(), LogisticRegression(C=c, max_iter=5000, tol=1e-8))
    predictions = cross_val_predict(model, features, classes, cv=splits)
    cases.append(
        {"c": c, "accuracy": float((predictions == classes).mean()), "predictions": "".join(map(str, predictions))}
    )
text = json.dumps({"sklearn": sklearn.__version__, "folds": "".join(map(str, folds)), "cases": cases}, indent=1)
pathlib.Path(__file__).with_suffix(".json").write_text(text + "\n")
