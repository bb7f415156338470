"""strata in Python: programs that strata runs, and results in notebooks.

A program that is a kind of stage of a pipeline::

    import strata_lab as strata

    with strata.stage() as stage:
        x = stage.inputs["features"]["p3"]
        stage.outputs["map"] = {"map": embed(x, **stage.params)}
        stage.metric("trustworthiness", 0.93)

Results in a notebook::

    lab = strata.open("pipelines/quickstart.toml")
    lab.table()
    lab["simclr@batches.policy=random"].tensors("weights")

The package needs NumPy and safetensors. PyTorch and pandas are imported only by the functions that return their types.
"""

from importlib.metadata import PackageNotFoundError, version

from ._artifact import Artifact
from ._errors import BinaryError, OutputError, RequestError, StrataError, UnknownResult
from ._lab import Lab, open
from ._outputs import Outputs
from ._result import Result
from ._stage import Inputs, Stage, stage

try:
    __version__ = version("strata-lab")
except PackageNotFoundError:  # The folder is used without an installation.
    __version__ = "0"

__all__ = [
    "Artifact",
    "BinaryError",
    "Inputs",
    "Lab",
    "OutputError",
    "Outputs",
    "RequestError",
    "Result",
    "Stage",
    "StrataError",
    "UnknownResult",
    "__version__",
    "open",
    "stage",
]
