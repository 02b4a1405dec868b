"""A user's module of models, good and bad, as `tests/own` and the commands name it."""

import torch
from torch import nn


class Net(nn.Module):
    def __init__(self, width: int = 8) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, width, 3)
        self.norm = nn.BatchNorm2d(width)
        self.head = nn.Linear(width, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(torch.relu(self.norm(self.conv(x))).mean((2, 3)))


class Ranker(nn.Module):
    """Two inputs, one of them rows of a table; two outputs."""

    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Embedding(100, 16)
        self.head = nn.Linear(16, 4)

    def forward(self, rows: torch.Tensor, scale: torch.Tensor) -> dict[str, torch.Tensor]:
        return {"score": self.head(self.table(rows).mean(1)), "scale": scale * 2}


class Talker(Net):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        print("a line that is no JSON")
        return super().forward(x)


class NotFinite(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x / 0


class Wordy(nn.Module):
    def forward(self, x: torch.Tensor) -> str:
        return "no tensor"


instance = Net()


def make() -> nn.Module:
    return Net(16)


def trained() -> nn.Module:
    net = Net()
    net.norm.running_mean.fill_(0.5)
    return net


def broken() -> nn.Module:
    raise ValueError("no\nway")


def needy(width: int) -> nn.Module:
    return Net(width)


def nothing() -> None:
    pass


def local() -> nn.Module:
    class Local(Net):
        pass

    return Local()


def batches():
    generator = torch.Generator().manual_seed(5)
    return (torch.randn(2, 3, 16, 16, generator=generator) for _ in range(3))


def shuffled():
    while True:
        yield torch.rand(1, 3, 16, 16)


def pairs():
    yield torch.zeros(1, 3, 16, 16), torch.zeros(1)


def one():
    return 1


def failing():
    yield torch.zeros(1, 3, 16, 16)
    raise OSError("the disk is gone")
