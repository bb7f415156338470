"""Whitens features by NumPy: principal components of the training features, scaled to unit variance.

strata runs it as the kind `whiten` of pipelines/own_stage.toml. STRATA_REQUEST names a JSON file with its parameters, the
paths of its inputs and outputs, and the file for its events.
"""

import json
import os

import numpy as np
from safetensors import safe_open
from safetensors.numpy import save_file


def read(path: str) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """Reads the tensors and the metadata of an artifact."""
    with safe_open(path, "numpy") as file:
        return {name: file.get_tensor(name) for name in file.keys()}, file.metadata()


def main() -> None:
    with open(os.environ["STRATA_REQUEST"], encoding="utf-8") as file:
        request = json.load(file)
    inputs, outputs = request["inputs"], request["outputs"]
    train, train_metadata = read(inputs["train"]["path"])
    test, test_metadata = read(inputs["test"]["path"])

    # A features artifact has a matrix [N, D] for each level of the network, and the labels [N].
    for level in (name for name, tensor in train.items() if tensor.ndim == 2):
        mean = train[level].mean(axis=0, dtype=np.float64)
        _, singular, right = np.linalg.svd(train[level] - mean, full_matrices=False)
        kept = min(request["params"]["components"], int((singular > 1e-6 * singular[0]).sum()))
        to_unit = right[:kept].T / singular[:kept] * np.sqrt(len(train[level]))
        for features in (train, test):
            features[level] = np.ascontiguousarray((features[level] - mean) @ to_unit, dtype=np.float32)
        explained = float((singular[:kept] ** 2).sum() / (singular**2).sum())
        print(f"{level}: {kept} of {len(singular)} components explain {explained:.1%} of the variance")
    with open(request["events"], "a", encoding="utf-8") as events:
        print(json.dumps({"metric": "explained", "value": explained}), file=events)

    save_file(train, outputs["train"]["path"], train_metadata)
    save_file(test, outputs["test"]["path"], test_metadata)


if __name__ == "__main__":
    main()
