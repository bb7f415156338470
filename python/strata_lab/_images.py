"""Images of an artifact as a dataset of PyTorch. Importing this module imports PyTorch."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch.utils.data import Dataset

from ._artifact import Artifact
from ._errors import StrataError


class Images(Dataset[Any]):
    """The images of an artifact, read as they are asked for: the file is mapped into memory, not loaded.

    An item is `(image, label)`, or the image alone if the artifact has no labels. An image is a tensor [C, H, W], uint8
    or (with noise) float16, or what `transform` makes of it; a label is an int. Workers of a `DataLoader` map the file
    themselves.

    Attributes:
        classes: the names of the classes; a label is an index into them.
        transform: applied to each image.
    """

    def __init__(self, path: Path, *, transform: Callable[[Any], Any] | None = None, draw: int = 0) -> None:
        """Opens the file of an images artifact.

        Raises:
            StrataError: it holds no images, or fewer draws of each.
        """
        self.transform = transform
        self._path = path
        self._draw = draw
        self._open()

    def _open(self) -> None:
        artifact = Artifact.read(self._path)
        images = artifact.get("images")
        if images is None or images.ndim not in (4, 5):
            raise StrataError(f"{self._path} holds no images: its tensors are {', '.join(artifact)}")
        if images.ndim == 5:
            if not 0 <= self._draw < len(images):
                raise StrataError(f"there is no draw {self._draw} of the noisy images; there are {len(images)}, from 0")
            images = images[self._draw]
        self.classes: list[str] = artifact.attributes.get("classes", [])
        self._images = images
        self._labels = artifact.get("labels")

    def __len__(self) -> int:
        """Returns the number of images."""
        return len(self._images)

    def __getitem__(self, index: int) -> Any:
        """Returns `(image, label)`, or the image if there are no labels. `IndexError` past the end."""
        image: Any = torch.from_numpy(self._images[index].copy())
        if self.transform is not None:
            image = self.transform(image)
        return image if self._labels is None else (image, int(self._labels[index]))

    def __getstate__(self) -> dict[str, Any]:
        """Returns what another process needs to open the file itself."""
        return {"transform": self.transform, "_path": self._path, "_draw": self._draw}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Opens the file in this process."""
        self.__dict__.update(state)
        self._open()
