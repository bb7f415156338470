"""SimCLR on small images in PyTorch: trains a network with a checkpoint for each epoch, and computes features.

strata runs it as the kinds of pipelines/pytorch.toml. STRATA_REQUEST names a JSON file with the parameters, the paths of
inputs and outputs, the folder for the checkpoint, and the file for events.
"""

import json
import os
import sys

import torch
from safetensors import numpy as arrays, safe_open
from safetensors.torch import save_file
from torch import nn
from torch.nn import functional


def network(width: int) -> nn.Sequential:
    """A convolutional encoder: [N, 3, H, W] to [N, 4 * width]."""
    layers: list[nn.Module] = []
    for before, after in [(3, width), (width, 2 * width), (2 * width, 4 * width)]:
        layers += [nn.Conv2d(before, after, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(after), nn.ReLU()]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten())


def floats(pixels: torch.Tensor) -> torch.Tensor:
    """8-bit pixels as numbers around zero."""
    return pixels.float() / 127.5 - 1.0


def views(images: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """A random crop, flip and change of brightness and contrast of each image."""
    count, channels, height, width = images.shape
    uniform = lambda low, high: low + (high - low) * torch.rand(count, generator=generator)
    scale, zero = uniform(0.5, 1.0), torch.zeros(count)
    flip = torch.where(uniform(0, 1) < 0.5, -1.0, 1.0)
    shift_x, shift_y = uniform(-1, 1) * (1 - scale), uniform(-1, 1) * (1 - scale)
    theta = torch.stack(
        [torch.stack([scale * flip, zero, shift_x], dim=1), torch.stack([zero, scale, shift_y], dim=1)], dim=1
    )
    grid = functional.affine_grid(theta, [count, channels, height, width], align_corners=False)
    cropped = functional.grid_sample(images, grid, align_corners=False)
    gain = torch.empty(count, channels, 1, 1).uniform_(0.4, 1.6, generator=generator)
    offset = torch.empty(count, channels, 1, 1).uniform_(-0.4, 0.4, generator=generator)
    return cropped * gain + offset


def nt_xent(first: torch.Tensor, second: torch.Tensor, temperature: float) -> torch.Tensor:
    """The loss of SimCLR (arXiv 2002.05709, equation 1) over two views of each image."""
    vectors = functional.normalize(torch.cat([first, second]), dim=1)
    similar = vectors @ vectors.T / temperature
    similar.fill_diagonal_(float("-inf"))
    count = len(first)
    partner = torch.cat([torch.arange(count) + count, torch.arange(count)])
    return functional.cross_entropy(similar, partner)


def train(request: dict) -> None:
    params, state = request["params"], request["state"]
    images = floats(torch.from_numpy(arrays.load_file(request["inputs"]["images"]["path"])["images"]))
    torch.manual_seed(request["seed"])
    encoder = network(params["width"])
    head = nn.Sequential(nn.Linear(4 * params["width"], 64), nn.ReLU(), nn.Linear(64, 32))
    learner = nn.ModuleDict({"encoder": encoder, "head": head})
    optimizer = torch.optim.Adam(learner.parameters(), lr=params["lr"])

    done, checkpoint = 0, os.path.join(state, "checkpoint.pt")
    if os.path.exists(checkpoint):
        saved = torch.load(checkpoint)
        learner.load_state_dict(saved["learner"])
        optimizer.load_state_dict(saved["optimizer"])
        done = saved["epoch"]
        print(f"goes on after epoch {done}")

    with open(request["events"], "a", buffering=1, encoding="utf-8") as events:
        say = lambda **event: events.write(json.dumps(event) + "\n")
        for epoch in range(done + 1, params["epochs"] + 1):
            # Its random numbers depend on the epoch alone, so training that was interrupted ends in the same weights.
            generator = torch.Generator().manual_seed(1000 * request["seed"] + epoch)
            losses = []
            for batch in torch.randperm(len(images), generator=generator).split(params["batch_size"]):
                first, second = (head(encoder(views(images[batch], generator))) for _ in range(2))
                loss = nt_xent(first, second, params["temperature"])
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                losses.append(loss.item())
            mean = sum(losses) / len(losses)
            print(f"epoch {epoch}: loss {mean:.4f}")
            say(series="loss", epoch=epoch, value=mean)
            torch.save(
                {"learner": learner.state_dict(), "optimizer": optimizer.state_dict(), "epoch": epoch, "loss": mean},
                checkpoint + ".new",
            )
            os.replace(checkpoint + ".new", checkpoint)
            say(saved={"epoch": epoch})
            say(progress=epoch, total=params["epochs"], unit="epoch")
        say(metric="loss", value=torch.load(checkpoint)["loss"])
    save_file(encoder.state_dict(), request["outputs"]["model"]["path"], {"width": str(params["width"])})


@torch.no_grad()
def encode(request: dict) -> None:
    with safe_open(request["inputs"]["model"]["path"], "pt") as file:
        encoder = network(int(file.metadata()["width"]))
        encoder.load_state_dict({name: file.get_tensor(name) for name in file.keys()})
    encoder.eval()
    path = request["inputs"]["images"]["path"]
    # Labels stay arrays of NumPy: they are unsigned, which older versions of PyTorch do not know.
    data = arrays.load_file(path)
    with safe_open(path, "np") as file:
        classes = json.loads(file.metadata()["strata"])["classes"]
    features = torch.cat([encoder(floats(part)) for part in torch.from_numpy(data["images"]).split(512)])
    tensors = {"p3": features.numpy(), "labels": data["labels"]}
    arrays.save_file(tensors, request["outputs"]["features"]["path"], {"strata": json.dumps({"classes": classes})})


if __name__ == "__main__":
    with open(os.environ["STRATA_REQUEST"], encoding="utf-8") as file:
        request = json.load(file)
    torch.set_num_threads(request["threads"])
    {"train": train, "encode": encode}[sys.argv[1]](request)
