#!/usr/bin/env python3
"""One training step in PyTorch on the CPU, for a ratio with `cargo bench --bench ml` and `strata bench step`.

usage: step.py {resnet,resnet18,dae} [--batch 64] [--threads 2] [--steps 8] [--contiguous]

resnet: SimCLR with the bottleneck ResNet, n = 4; resnet18: SimCLR with ResNet-18 and a 3x3 stem; dae: the denoising
autoencoder with 32, 64 and 128 channels and a squared error. A batch of B is 2B images of 3x32x32, as two views of B.
Prints wall and processor seconds of a step, minimum and median. Needs torch (PyPI).
"""

import argparse
import statistics
import time

import torch
import torch.nn.functional as F
from torch import nn


class ConvBn(nn.Module):
    def __init__(self, inputs, outputs, kernel, stride, relu, bias=False):
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=bias)
        self.bn = nn.BatchNorm2d(outputs, eps=1e-3)
        self.relu = relu

    def forward(self, x):
        y = self.bn(self.conv(x))
        return F.relu(y, inplace=True) if self.relu else y


class Block(nn.Module):
    def __init__(self, body, shortcut):
        super().__init__()
        self.body, self.shortcut = nn.Sequential(*body), shortcut

    def forward(self, x):
        return F.relu(self.body(x) + self.shortcut(x), inplace=True)


def resnet():
    layers, inputs = [ConvBn(3, 16, 3, 1, True, True)], 16
    for middle, outputs, stride in [(16, 64, 1), (64, 128, 2), (128, 256, 2)]:
        for index in range(4):
            step = stride if index == 0 else 1
            body = [
                ConvBn(inputs, middle, 1, 1, True, True),
                ConvBn(middle, middle, 3, step, True, True),
                ConvBn(middle, outputs, 1, 1, False, True),
            ]
            shortcut = nn.Conv2d(inputs, outputs, 1, step) if index == 0 else nn.Identity()
            layers.append(Block(body, shortcut))
            inputs = outputs
    return simclr(layers, inputs)


def resnet18():
    layers, inputs = [ConvBn(3, 64, 3, 1, True)], 64
    for outputs, stride in [(64, 1), (128, 2), (256, 2), (512, 2)]:
        for index in range(2):
            step = stride if index == 0 else 1
            body = [ConvBn(inputs, outputs, 3, step, True), ConvBn(outputs, outputs, 3, 1, False)]
            same = inputs == outputs
            layers.append(Block(body, nn.Identity() if same else ConvBn(inputs, outputs, 1, step, False)))
            inputs = outputs
    return simclr(layers, inputs)


def simclr(layers, features):
    head = [nn.Linear(features, 256), nn.ReLU(), nn.Linear(256, 128), nn.ReLU(), nn.Linear(128, 50)]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), *head)


def dae():
    layers, inputs = [], 3
    for outputs in [32, 64, 128]:
        layers += [ConvBn(inputs, outputs, 3, 1, True, True), nn.MaxPool2d(2)]
        inputs = outputs
    for outputs in [128, 64, 32]:
        layers += [nn.Upsample(scale_factor=2), ConvBn(inputs, outputs, 3, 1, True, True)]
        inputs = outputs
    return nn.Sequential(*layers, nn.Conv2d(inputs, 3, 3, 1, 1), nn.Sigmoid())


def nt_xent(z, batch):
    z = F.normalize(z, dim=1)
    positive = (torch.arange(2 * batch) + batch) % (2 * batch)
    return F.cross_entropy(z @ z.t() / 0.1 - torch.eye(2 * batch) * 1e9, positive)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    networks = {"resnet": resnet, "resnet18": resnet18, "dae": dae}
    parser.add_argument("network", choices=networks)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--steps", type=int, default=8, help="steps that count, after two that do not")
    parser.add_argument("--contiguous", action="store_true", help="NCHW buffers instead of channels_last")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    torch.manual_seed(0)
    layout = torch.contiguous_format if args.contiguous else torch.channels_last
    network = networks[args.network]().to(memory_format=layout)
    images = torch.rand(2 * args.batch, 3, 32, 32).to(memory_format=layout)
    optimizer = torch.optim.SGD(network.parameters(), 0.01)
    wall, processor = [], []
    for _ in range(args.steps + 2):
        start = time.perf_counter(), time.process_time()
        out = network(images)
        loss = F.mse_loss(out, images) if args.network == "dae" else nt_xent(out, args.batch)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        wall.append(time.perf_counter() - start[0])
        processor.append(time.process_time() - start[1])
    spread = [f"{min(s[2:]):.4f} {statistics.median(s[2:]):.4f}" for s in (wall, processor)]
    print(f"pytorch {torch.__version__} {args.network} batch {args.batch} threads {args.threads} ", end="")
    print(f"wall {spread[0]} processor {spread[1]} (minimum, median; seconds a step)")


if __name__ == "__main__":
    main()
