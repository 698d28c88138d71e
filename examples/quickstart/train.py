"""Trains a small network on handwritten digits and writes digits.pth. Not needed to run the quickstart.

    pip install torch scikit-learn
    python train.py                 ten seconds on two cores

The data are the 1797 images of 8 x 8 pixels that scikit-learn ships (UCI, "Optical Recognition of Handwritten Digits").
Every fifth image is kept for the test.
"""
import numpy as np
import torch
from torch import nn


class Block(nn.Module):
    """Two convolutions and a shortcut; the shortcut is a convolution of its own where the shape changes."""

    def __init__(self, c_in, c_out, stride=1):
        super().__init__()
        self.conv1 = nn.Conv2d(c_in, c_out, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(c_out)
        self.conv2 = nn.Conv2d(c_out, c_out, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(c_out)
        self.downsample = None
        if stride != 1 or c_in != c_out:
            self.downsample = nn.Sequential(nn.Conv2d(c_in, c_out, 1, stride, bias=False), nn.BatchNorm2d(c_out))

    def forward(self, x):
        shortcut = x if self.downsample is None else self.downsample(x)
        x = torch.relu(self.bn1(self.conv1(x)))
        return torch.relu(self.bn2(self.conv2(x)) + shortcut)


class Net(nn.Module):
    """8 x 8 pixels -> 4 x 4 features -> a row of 4 -> 10 classes."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(1, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16))
        self.layer1 = nn.Sequential(Block(16, 16), Block(16, 16))
        self.layer2 = nn.Sequential(Block(16, 32, stride=2), Block(32, 32))
        self.row = nn.Conv1d(32, 32, 3, padding=1)
        self.act = nn.PReLU(32)
        self.fc = nn.Linear(32, 10)

    def forward(self, x):
        x = torch.relu(self.stem(x))
        x = self.layer2(self.layer1(x))
        x = self.act(self.row(x.mean(dim=2)))
        return self.fc(x.mean(dim=2))


def digits():
    from sklearn.datasets import load_digits

    data = load_digits()
    x = (data.images[:, None] / 8 - 1).astype(np.float32)
    y = data.target.astype(np.int64)
    test = np.arange(len(y)) % 5 == 4
    return (x[~test], y[~test]), (x[test], y[test])


def main():
    torch.manual_seed(0)
    (x, y), (x_test, y_test) = [(torch.from_numpy(a), torch.from_numpy(b)) for a, b in digits()]
    net = Net()
    epochs, batch = 25, 64
    optimizer = torch.optim.AdamW(net.parameters(), lr=3e-3, weight_decay=1e-2)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 6e-3, epochs=epochs, steps_per_epoch=-(-len(y) // batch))
    for _ in range(epochs):
        net.train()
        for part in torch.randperm(len(y)).split(batch):
            shift = torch.randint(-1, 2, (2,))          # one pixel to any side
            loss = nn.functional.cross_entropy(net(torch.roll(x[part], shift.tolist(), (2, 3))), y[part])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
    net.eval()
    with torch.no_grad():
        right = (net(x_test).argmax(1) == y_test).sum().item()
    print(f"test accuracy {right / len(y_test):.4f} ({right} of {len(y_test)})")
    torch.save(net.state_dict(), "digits.pth")


if __name__ == "__main__":
    main()
