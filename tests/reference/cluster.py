"""Reference numbers for clustering, probes and statistics: `python3 tests/reference/cluster.py` writes cluster.json.

The features are scikit-learn's handwritten digits, 1797 images of 8x8 pixels in 0..16.
"""

import json
import pathlib

import numpy as np
import scipy
import sklearn
from scipy.optimize import linear_sum_assignment
from scipy.stats import binomtest
from sklearn.cluster import KMeans
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import adjusted_rand_score, log_loss, normalized_mutual_info_score
from sklearn.metrics.cluster import contingency_matrix
from sklearn.preprocessing import StandardScaler, normalize

TRAIN = 1200

features, classes = load_digits(return_X_y=True)
train, test = features[:TRAIN], features[TRAIN:]
train_classes, test_classes = classes[:TRAIN], classes[TRAIN:]


def wilson():
    for correct, total in [(0, 10), (1, 10), (10, 10), (150, 250), (4012, 10000), (1, 1), (9999, 10000)]:
        interval = binomtest(correct, total).proportion_ci(confidence_level=0.95, method="wilson")
        yield {"correct": correct, "total": total, "low": interval.low, "high": interval.high}


def partitions():
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 6, 80)
    noisy = np.where(rng.random(80) < 0.4, rng.integers(0, 9, 80), truth * 7 % 9)
    for first, second in [
        (truth, noisy),
        (truth, rng.integers(0, 3, 80)),
        (truth, np.arange(80)),
        (np.zeros(80, int), truth),
        (truth, truth),
    ]:
        yield {
            "clusters": second.tolist(),
            "classes": first.tolist(),
            "nmi": normalized_mutual_info_score(first, second),
            "ari": adjusted_rand_score(first, second),
            "purity": contingency_matrix(first, second).max(axis=0).sum() / 80,
        }


def kmeans():
    scaled = {"none": features, "l2": normalize(features), "standardize": StandardScaler().fit_transform(features)}
    for name, points in scaled.items():
        for clusters in [2, 10, 64]:
            model = KMeans(clusters, n_init=10, random_state=0).fit(points)
            yield {"normalize": name, "clusters": clusters, "inertia": model.inertia_}


def equal_size():
    """Lloyd's iterations whose assignment step is optimal for clusters of equal size; the best of three starts."""
    for clusters in [3, 10]:
        best = np.inf
        for seed in range(3):
            centroids = KMeans(clusters, n_init=1, random_state=seed).fit(features).cluster_centers_
            last = np.inf
            while True:
                distances = ((features[:, None] - centroids) ** 2).sum(-1)
                # Every cluster has floor(n / k) places, and as many have one more as are left over. Because any may,
                # each has an extra place, and empty points fill those that stay free.
                each, left = divmod(len(features), clusters)
                places = np.hstack([np.repeat(distances, each, axis=1), distances])
                blank = np.zeros((clusters - left, places.shape[1]))
                blank[:, : each * clusters] = 1e12
                rows, columns = linear_sum_assignment(np.vstack([places, blank]))
                columns = columns[: len(features)]
                labels = np.where(columns < each * clusters, columns // each, columns - each * clusters)
                centroids = np.stack([features[labels == c].mean(0) for c in range(clusters)])
                inertia = ((features - centroids[labels]) ** 2).sum()
                if inertia >= last - 1e-6:
                    break
                last = inertia
            best = min(best, inertia)
        yield {"clusters": clusters, "inertia": best}


def logistic():
    scaler = StandardScaler().fit(train)
    for c in [1.0, 0.01]:
        model = LogisticRegression(C=c, tol=1e-9, max_iter=100_000).fit(scaler.transform(train), train_classes)
        loss = log_loss(train_classes, model.predict_proba(scaler.transform(train)))
        penalty = (model.coef_**2).sum() / (2 * c * TRAIN)
        predictions = model.predict(scaler.transform(test))
        yield {"c": c, "loss": loss, "objective": loss + penalty, "predictions": predictions.tolist()}


def knn():
    """InstDisc: votes of exp(s / temperature) from the k rows of largest cosine similarity s."""
    similarity = normalize(test) @ normalize(train).T
    for k, temperature in [(200, 0.1), (20, 0.07), (1, 0.1), (5000, 1.0)]:
        order = np.argsort(-similarity, axis=1, kind="stable")[:, :k]
        weights = np.exp(np.take_along_axis(similarity, order, axis=1) / temperature)
        votes = np.stack([(weights * (train_classes[order] == c)).sum(1) for c in range(10)], axis=1)
        yield {"k": k, "temperature": temperature, "predictions": votes.argmax(1).tolist()}


reference = {
    "versions": {"numpy": np.__version__, "scipy": scipy.__version__, "scikit-learn": sklearn.__version__},
    "train": TRAIN,
    "classes": classes.tolist(),
    "features": ["".join("0123456789abcdefg"[int(v)] for v in row) for row in features],
    "wilson": list(wilson()),
    "partitions": list(partitions()),
    "kmeans": list(kmeans()),
    "equal_size": list(equal_size()),
    "logistic": list(logistic()),
    "knn": list(knn()),
}
path = pathlib.Path(__file__).with_suffix(".json")
path.write_text(json.dumps(reference, separators=(",", ":")).replace('],"', '],\n"').replace('},{', '},\n{') + "\n")
