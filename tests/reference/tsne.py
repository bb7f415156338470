"""Reference numbers for t-SNE: `python3 tests/reference/tsne.py` writes tsne.json.

The features are scikit-learn's handwritten digits, as in cluster.json.
"""

import json
import pathlib

import numpy as np
import sklearn
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.manifold import TSNE, trustworthiness

features, _ = load_digits(return_X_y=True)
features = features.astype(np.float32)
fitted = TSNE(perplexity=30, max_iter=1000, random_state=0)
points = fitted.fit_transform(features)
plane = PCA(2, random_state=0).fit_transform(features)

reference = {
    "versions": {"numpy": np.__version__, "sklearn": sklearn.__version__},
    "kl_divergence": float(fitted.kl_divergence_),
    "trustworthiness": trustworthiness(features, points, n_neighbors=5),
    # Of the plane of the first two principal components, and the variances along them.
    "trustworthiness_of_plane": trustworthiness(features, plane, n_neighbors=5),
    "plane_variance": plane.var(axis=0).tolist(),
}
path = pathlib.Path(__file__).with_suffix(".json")
path.write_text(json.dumps(reference, indent=1) + "\n")
