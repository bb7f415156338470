"""Weights of torchvision's and timm's ResNets, in and out.

usage: python3 torch_weights.py facts > torch_weights.json     (needs torch, torchvision, timm)
       python3 torch_weights.py make DIR                       (needs torch, torchvision)
       python3 torch_weights.py features DIR NAME PYTHON       (needs torch, torchvision or timm, safetensors)

facts: the names and shapes of the state dicts of ResNet-18 and ResNet-50; and the features (before `fc`) that torchvision's
networks give in double precision, with every weight set by `value`, for two images set by `noise` and normalised as for
ImageNet. The test makes the same weights and images by the same formulas, so that no large file is kept.

make: `resnet18` and `resnet50` with the weights that torch draws, as NAME.pth and NAME.safetensors; 8 images as images.npy
(uint8, [N, H, W, C]) with labels.csv; and the features that torch gives in double precision as NAME.features.npy.

features: runs the lines of Python in the file PYTHON, as `strata export --names` shows them, which make `model`; and writes
the features of the images of DIR to DIR/NAME.features.npy. Lines that normalise pixels are comments there, so this reads them.
"""
import json
import re
import sys
from pathlib import Path

# `statistics.py` in this folder is not Python's.
sys.path = [path for path in sys.path if Path(path).resolve() != Path(__file__).resolve().parent]

import numpy as np
import torch

MEAN, STD = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
NETWORKS = ["resnet18", "resnet50"]


def noise(name, count):
    """Numbers in [0, 1) fixed by name and position."""
    seed = sum(byte * i for i, byte in enumerate(name.encode(), 1)) % 1000
    x = np.sin(np.arange(count, dtype=np.float64) * 12.9898 + seed * 78.233) * 43758.5453
    return x - np.floor(x)


def value(name, shape):
    """A parameter or running statistic: such that activations neither vanish nor explode."""
    u = noise(name, int(np.prod(shape, dtype=int)))
    if len(shape) > 1:
        u = (u - 0.5) * 2 * np.sqrt(6 / np.prod(shape[1:]))
    elif name.endswith(("weight", "running_var")):
        u = 0.5 + u
    else:
        u = (u - 0.5) * 0.4
    return torch.from_numpy(u.astype(np.float32).reshape(shape))


def pixels(count, size):
    """Images, uint8 [N, H, W, C]."""
    return np.floor(noise("images", count * size * size * 3) * 256).astype(np.uint8).reshape(count, size, size, 3)


def normalised(images, mean=MEAN, std=STD):
    x = torch.from_numpy(images).double().permute(0, 3, 1, 2) / 255
    return (x - torch.tensor(mean).double().view(-1, 1, 1)) / torch.tensor(std).double().view(-1, 1, 1)


def features(model, x):
    """What goes into `fc`."""
    model = model.double().eval()
    model.fc = torch.nn.Identity()
    with torch.no_grad():
        return model(x)


def facts():
    import timm
    import torchvision

    torch.set_num_threads(1)
    made = {"torch": torch.__version__.split("+")[0], "torchvision": torchvision.__version__.split("+")[0], "timm": timm.__version__}
    images = normalised(pixels(2, 64))
    for kind in NETWORKS:
        model = getattr(torchvision.models, kind)()
        state = model.state_dict()
        shapes = {name: list(tensor.shape) for name, tensor in state.items()}
        other = timm.create_model(kind).state_dict()
        assert shapes == {name: list(tensor.shape) for name, tensor in other.items()}
        counted = {name for name in state if name.endswith("num_batches_tracked")}
        model.load_state_dict({n: t if n in counted else value(n, tuple(t.shape)) for n, t in state.items()}, strict=True)
        got = features(model, images)
        made[kind] = {"shapes": shapes, "features": [[float(f"{x:.7g}") for x in row] for row in got.tolist()]}
    print(json.dumps(made, separators=(",", ":")))


def make(folder):
    import torchvision
    from safetensors.torch import save_file

    torch.manual_seed(0)
    images = pixels(8, 64)
    np.save(folder / "images.npy", images)
    (folder / "labels.csv").write_text("file,class\n" + "".join(f"{i}.png,{['cat', 'dog'][i % 2]}\n" for i in range(8)))
    for kind in NETWORKS:
        model = getattr(torchvision.models, kind)()
        model.train()
        with torch.no_grad():
            model(normalised(images).float())  # so that running statistics are not those of a new network
        torch.save(model.state_dict(), folder / f"{kind}.pth")
        save_file(model.state_dict(), folder / f"{kind}.safetensors")
        np.save(folder / f"{kind}.features.npy", features(model, normalised(images)).numpy())


def export(folder, name, python):
    lines = Path(python).read_text()
    scope = {}
    exec(lines, scope)
    of = re.search(r"Normalize\((\[.*?\]), (\[.*?\])\)", lines)
    mean, std = (json.loads(of[1]), json.loads(of[2])) if of else ([0, 0, 0], [1, 1, 1])
    got = features(scope["model"], normalised(np.load(folder / "images.npy"), mean, std))
    np.save(folder / f"{name}.features.npy", got.numpy())


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["facts"]:
            facts()
        case ["make", folder]:
            make(Path(folder))
        case ["features", folder, name, python]:
            export(Path(folder), name, python)
        case _:
            sys.exit(__doc__)
