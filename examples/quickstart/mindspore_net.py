"""The same network written for MindSpore. Not needed to run the quickstart.

    python mindspore_net.py spec target.yaml          writes the target's spec: names, dtypes and shapes
    python mindspore_net.py check digits.ckpt         loads the converted file and compares with torch

The first needs mindspore, the second also torch and scikit-learn.
"""
import sys

import mindspore as ms
from mindspore import nn, ops


def conv(c_in, c_out, kernel, stride=1, padding=0):
    return nn.Conv2d(c_in, c_out, kernel, stride, pad_mode="pad", padding=padding)


class Block(nn.Cell):
    def __init__(self, c_in, c_out, stride=1):
        super().__init__()
        self.conv1 = conv(c_in, c_out, 3, stride, padding=1)
        self.bn1 = nn.BatchNorm2d(c_out)
        self.conv2 = conv(c_out, c_out, 3, padding=1)
        self.bn2 = nn.BatchNorm2d(c_out)
        self.down_sample = None
        if stride != 1 or c_in != c_out:
            self.down_sample = nn.SequentialCell(conv(c_in, c_out, 1, stride), nn.BatchNorm2d(c_out))

    def construct(self, x):
        shortcut = x if self.down_sample is None else self.down_sample(x)
        x = ops.relu(self.bn1(self.conv1(x)))
        return ops.relu(self.bn2(self.conv2(x)) + shortcut)


class Net(nn.Cell):
    def __init__(self):
        super().__init__()
        self.stem = nn.SequentialCell(conv(1, 16, 3, padding=1), nn.BatchNorm2d(16))
        self.layer1 = nn.SequentialCell(Block(16, 16), Block(16, 16))
        self.layer2 = nn.SequentialCell(Block(16, 32, stride=2), Block(32, 32))
        self.row = nn.Conv1d(32, 32, 3, pad_mode="pad", padding=1, has_bias=True)
        self.act = nn.PReLU(32)
        self.dense = nn.Dense(32, 10)

    def construct(self, x):
        x = ops.relu(self.stem(x))
        x = self.layer2(self.layer1(x))
        x = self.act(self.row(x.mean(axis=2)))
        return self.dense(x.mean(axis=2))


def spec(path):
    short = {"Float32": "f32", "Float16": "f16", "Int32": "i32", "Int64": "i64"}
    with open(path, "w") as f:
        f.write("# Every parameter of the MindSpore network, as `python mindspore_net.py spec` wrote it.\n")
        f.write("framework: mindspore\ntensors:\n")
        for p in Net().get_parameters():
            f.write(f"  - {{name: {p.name}, dtype: {short[str(p.dtype)]}, shape: {list(p.shape)}}}\n")


def check(path):
    import torch
    import train
    net = Net().set_train(False)
    unused, missing = ms.load_param_into_net(net, ms.load_checkpoint(path), strict_load=True)
    assert not unused and not missing, (unused, missing)
    reference = train.Net().eval()
    reference.load_state_dict(torch.load("digits.pth", weights_only=True))
    _, (x, y) = train.digits()
    with torch.no_grad():
        want = reference(torch.from_numpy(x)).numpy()
    got = net(ms.Tensor(x)).asnumpy()
    print(f"torch     test accuracy {(want.argmax(1) == y).mean():.4f}")
    print(f"MindSpore test accuracy {(got.argmax(1) == y).mean():.4f}")
    print(f"largest difference of an output {abs(got - want).max():.1e}, largest output {abs(want).max():.1f}")
    assert abs(got - want).max() < 1e-4 * abs(want).max()


if __name__ == "__main__":
    {"spec": spec, "check": check}[sys.argv[1]](sys.argv[2])
