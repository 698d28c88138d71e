"""Pairs of small networks in torch and MindSpore that compute the same, with the rules from one to the other, and ways to break them."""

import math

import mindspore as ms
import numpy as np
import torch
from mindspore import nn as mnn
from mindspore import ops as mops
from torch import nn as tnn

WIDTH, HEADS, LAYERS, VOCABULARY = 16, 2, 4, 31

# ---- A decoder with rotary positions, RMS norms and a gated MLP ----


def rope(x, numpy_of, interleaved):
    """x [B, H, S, D]; the angles come as numpy, so that both frameworks have the same."""
    _, _, s, d = x.shape
    angle = np.arange(s)[:, None] * (100.0 ** (-np.arange(d // 2) / (d // 2)))[None]
    cos, sin = numpy_of(np.cos(angle), x), numpy_of(np.sin(angle), x)
    if interleaved:
        a, b = x[..., 0::2], x[..., 1::2]
    else:
        a, b = x[..., : d // 2], x[..., d // 2:]
    return a * cos - b * sin, a * sin + b * cos


def torch_of(array, like):
    return torch.from_numpy(array).to(like.dtype)


def mindspore_of(array, like):
    return ms.Tensor(array.astype(np.float32))


class TorchRms(tnn.Module):
    def __init__(self):
        super().__init__()
        self.weight = tnn.Parameter(torch.ones(WIDTH))

    def forward(self, x):
        return x * torch.rsqrt((x * x).mean(-1, keepdim=True) + 1e-6) * self.weight


class TorchAttention(tnn.Module):
    def __init__(self):
        super().__init__()
        self.q_proj, self.k_proj, self.v_proj, self.o_proj = (tnn.Linear(WIDTH, WIDTH, bias=False) for _ in range(4))

    def forward(self, x):
        b, s, _ = x.shape
        q, k, v = (p(x).reshape(b, s, HEADS, -1).transpose(1, 2) for p in (self.q_proj, self.k_proj, self.v_proj))
        q, k = (torch.cat(rope(t, torch_of, False), -1) for t in (q, k))
        scores = torch.softmax(q @ k.transpose(-1, -2) / math.sqrt(q.shape[-1]), -1)
        return self.o_proj((scores @ v).transpose(1, 2).reshape(b, s, -1))


class TorchMlp(tnn.Module):
    def __init__(self):
        super().__init__()
        self.gate_proj, self.up_proj = (tnn.Linear(WIDTH, 2 * WIDTH, bias=False) for _ in range(2))
        self.down_proj = tnn.Linear(2 * WIDTH, WIDTH, bias=False)

    def forward(self, x):
        return self.down_proj(tnn.functional.silu(self.gate_proj(x)) * self.up_proj(x))


class TorchLayer(tnn.Module):
    def __init__(self):
        super().__init__()
        self.input_layernorm, self.self_attn, self.post_attention_layernorm, self.mlp = TorchRms(), TorchAttention(), TorchRms(), TorchMlp()

    def forward(self, x):
        x = x + self.self_attn(self.input_layernorm(x))
        return x + self.mlp(self.post_attention_layernorm(x))


class TorchDecoder(tnn.Module):
    def __init__(self):
        super().__init__()
        self.embed_tokens = tnn.Embedding(VOCABULARY, WIDTH)
        self.layers = tnn.ModuleList([TorchLayer() for _ in range(LAYERS)])
        self.norm = TorchRms()
        self.lm_head = tnn.Linear(WIDTH, VOCABULARY, bias=False)

    def forward(self, ids):
        x = self.embed_tokens(ids)
        for layer in self.layers:
            x = layer(x)
        return self.lm_head(self.norm(x))


class MsRms(mnn.Cell):
    def __init__(self):
        super().__init__()
        self.weight = ms.Parameter(ms.Tensor(np.ones(WIDTH, np.float32)))
        self.eps, self.missing = 1e-6, False

    def construct(self, x):
        if self.missing:
            return x
        return x * mops.rsqrt((x * x).mean(-1, keep_dims=True) + self.eps) * self.weight


class MsAttention(mnn.Cell):
    def __init__(self):
        super().__init__()
        self.wq, self.wk, self.wv, self.wo = (mnn.Dense(WIDTH, WIDTH, has_bias=False) for _ in range(4))
        self.interleaved = False

    def construct(self, x):
        b, s, _ = x.shape
        q, k, v = (p(x).reshape(b, s, HEADS, -1).swapaxes(1, 2) for p in (self.wq, self.wk, self.wv))
        q, k = (mops.cat(rope(t, mindspore_of, self.interleaved), -1) for t in (q, k))
        scores = mops.softmax(mops.matmul(q, k.swapaxes(-1, -2)) / math.sqrt(q.shape[-1]), -1)
        return self.wo(mops.matmul(scores, v).swapaxes(1, 2).reshape(b, s, -1))


class MsMlp(mnn.Cell):
    def __init__(self):
        super().__init__()
        self.w1, self.w3 = (mnn.Dense(WIDTH, 2 * WIDTH, has_bias=False) for _ in range(2))
        self.w2 = mnn.Dense(2 * WIDTH, WIDTH, has_bias=False)

    def construct(self, x):
        gate = self.w1(x)
        return self.w2(gate * mops.sigmoid(gate) * self.w3(x))


class MsLayer(mnn.Cell):
    def __init__(self):
        super().__init__()
        self.attention_norm, self.attention, self.ffn_norm, self.feed_forward = MsRms(), MsAttention(), MsRms(), MsMlp()

    def construct(self, x):
        x = x + self.attention(self.attention_norm(x))
        return x + self.feed_forward(self.ffn_norm(x))


class MsDecoder(mnn.Cell):
    def __init__(self):
        super().__init__()
        self.tok_embeddings = mnn.Embedding(VOCABULARY, WIDTH)
        self.layers = mnn.CellList([MsLayer() for _ in range(LAYERS)])
        self.norm_out = MsRms()
        self.output = mnn.Dense(WIDTH, VOCABULARY, has_bias=False)

    def construct(self, ids):
        x = self.tok_embeddings(ids)
        for layer in self.layers:
            x = layer(x)
        return self.output(self.norm_out(x))


DECODER_RULES = """ckmap 1;
migration decoder from pytorch to mindspore;
rename {
  embed_tokens.weight -> tok_embeddings.embedding_table;
  input_layernorm -> attention_norm; post_attention_layernorm -> ffn_norm; norm -> norm_out; lm_head -> output;
  self_attn -> attention; mlp -> feed_forward;
  q_proj -> wq; k_proj -> wk; v_proj -> wv; o_proj -> wo; gate_proj -> w1; up_proj -> w3; down_proj -> w2;
}
"""


# ---- A decoder with one matrix for q, k and v on one side ----


class TorchBlock(tnn.Module):
    def __init__(self):
        super().__init__()
        self.ln_1, self.ln_2 = tnn.LayerNorm(WIDTH), tnn.LayerNorm(WIDTH)
        self.qkv, self.proj = tnn.Linear(WIDTH, 3 * WIDTH), tnn.Linear(WIDTH, WIDTH)
        self.up, self.down = tnn.Linear(WIDTH, 4 * WIDTH), tnn.Linear(4 * WIDTH, WIDTH)

    def forward(self, x):
        q, k, v = self.qkv(self.ln_1(x)).chunk(3, -1)
        x = x + self.proj(torch.softmax(q @ k.transpose(-1, -2) / 4.0, -1) @ v)
        return x + self.down(tnn.functional.gelu(self.up(self.ln_2(x))))


class TorchGpt(tnn.Module):
    def __init__(self):
        super().__init__()
        self.h = tnn.ModuleList([TorchBlock() for _ in range(LAYERS)])
        self.ln_f = tnn.LayerNorm(WIDTH)

    def forward(self, x):
        for block in self.h:
            x = block(x)
        return self.ln_f(x)


class MsBlock(mnn.Cell):
    def __init__(self):
        super().__init__()
        self.ln_1, self.ln_2 = mnn.LayerNorm([WIDTH], epsilon=1e-5), mnn.LayerNorm([WIDTH], epsilon=1e-5)
        self.q, self.k, self.v, self.proj = (mnn.Dense(WIDTH, WIDTH) for _ in range(4))
        self.up, self.down = mnn.Dense(WIDTH, 4 * WIDTH), mnn.Dense(4 * WIDTH, WIDTH)
        self.approximate, self.scale = "none", 4.0

    def construct(self, x):
        y = self.ln_1(x)
        scores = mops.softmax(mops.matmul(self.q(y), self.k(y).swapaxes(-1, -2)) / self.scale, -1)
        x = x + self.proj(mops.matmul(scores, self.v(y)))
        return x + self.down(mops.gelu(self.up(self.ln_2(x)), approximate=self.approximate))


class MsGpt(mnn.Cell):
    def __init__(self):
        super().__init__()
        self.blocks = mnn.CellList([MsBlock() for _ in range(LAYERS)])
        self.ln_f = mnn.LayerNorm([WIDTH], epsilon=1e-5)

    def construct(self, x):
        for block in self.blocks:
            x = block(x)
        return self.ln_f(x)


GPT_RULES = """ckmap 1;
migration gpt from pytorch to mindspore;
use std;
rename h -> blocks;
within "h.{n:int}" <-> "blocks.{n}" {
  qkv.weight [3 * D, D] | split(axis=0) <-> "{q,k,v}.weight" [D, D];
  qkv.bias [3 * D] | split(axis=0) <-> "{q,k,v}.bias" [D];
}
"""


# ---- Convolutions and batch norms ----


class TorchConvs(tnn.Module):
    def __init__(self):
        super().__init__()
        self.stages = tnn.ModuleList([tnn.Sequential(tnn.Conv2d(4, 4, 3, padding=1, bias=False), tnn.BatchNorm2d(4)) for _ in range(LAYERS)])
        self.fc = tnn.Linear(4, 5)

    def forward(self, x):
        for stage in self.stages:
            x = x + torch.relu(stage(x))
        return self.fc(x.mean((2, 3)))


class MsConvs(mnn.Cell):
    def __init__(self):
        super().__init__()
        self.stages = mnn.CellList([mnn.SequentialCell(mnn.Conv2d(4, 4, 3, pad_mode="pad", padding=1), mnn.BatchNorm2d(4, eps=1e-5)) for _ in range(LAYERS)])
        self.classifier = mnn.Dense(4, 5)

    def construct(self, x):
        for stage in self.stages:
            x = x + mops.relu(stage(x))
        return self.classifier(x.mean((2, 3)))


CONV_RULES = """ckmap 1;
migration convs from pytorch to mindspore;
use std;
rename fc -> classifier;
"""


def swap(one, two):
    a, b = one.asnumpy().copy(), two.asnumpy().copy()
    one.set_data(ms.Tensor(b))
    two.set_data(ms.Tensor(a))


def set_to(parameter, array):
    parameter.set_data(ms.Tensor(np.ascontiguousarray(array)))


def off_by_one(cells, at):
    """Layer `at` gets the weights of its neighbour, which gets those of `at`."""
    other = (at + 1) % LAYERS
    for one, two in zip(cells[at].get_parameters(), cells[other].get_parameters()):
        swap(one, two)
    return min(at, other)


# Each fault: (network, what is broken, how: (net, layer) → the torch module that is to be named).
def faults():
    def decoder(kind):
        def apply(net, n):
            layer = net.layers[n]
            at = f"layers.{n}"
            if kind == "k and v exchanged":
                swap(layer.attention.wk.weight, layer.attention.wv.weight)
                return f"{at}.self_attn.k_proj"
            if kind == "square transposed":
                set_to(layer.attention.wo.weight, layer.attention.wo.weight.asnumpy().T)
                return f"{at}.self_attn.o_proj"
            if kind == "rope order":
                layer.attention.interleaved = True
                return f"{at}.self_attn"
            if kind == "epsilon":
                layer.ffn_norm.eps = 1e-5
                return f"{at}.post_attention_layernorm"
            if kind == "layers off by one":
                return f"layers.{off_by_one(net.layers, n)}.input_layernorm"
            if kind == "gate and up exchanged":
                swap(layer.feed_forward.w1.weight, layer.feed_forward.w3.weight)
                return f"{at}.mlp.gate_proj"
            layer.attention_norm.missing = True
            return f"{at}.input_layernorm"

        return apply

    def gpt(kind):
        def apply(net, n):
            block = net.blocks[n]
            at = f"h.{n}"
            if kind == "k and v exchanged":
                swap(block.k.weight, block.v.weight)
                return at  # q, k and v are one module on the other side: their block is the smallest pair
            if kind == "square transposed":
                set_to(block.proj.weight, block.proj.weight.asnumpy().T)
                return f"{at}.proj"
            if kind == "epsilon":
                block.ln_2.layer_norm = mops.LayerNorm(begin_norm_axis=-1, begin_params_axis=-1, epsilon=1e-3)
                return f"{at}.ln_2"
            if kind == "layers off by one":
                return f"h.{off_by_one(net.blocks, n)}.ln_1"
            if kind == "other gelu":
                block.approximate = "tanh"
                return at
            block.scale = 8.0
            return at

        return apply

    def convs(kind):
        def apply(net, n):
            conv, norm = net.stages[n][0], net.stages[n][1]
            if kind == "gamma and beta exchanged":
                swap(norm.gamma, norm.beta)
                return f"stages.{n}.1"
            if kind == "mean not loaded":
                set_to(norm.moving_mean, np.zeros(4, np.float32))
                return f"stages.{n}.1"
            set_to(conv.weight, conv.weight.asnumpy().transpose(1, 0, 2, 3))
            return f"stages.{n}.0"

        return apply

    for kind in ("k and v exchanged", "square transposed", "rope order", "epsilon", "layers off by one", "gate and up exchanged", "norm missing"):
        for n in range(LAYERS):
            yield "decoder", kind, n, decoder(kind)
    for kind in ("k and v exchanged", "square transposed", "epsilon", "layers off by one", "other gelu", "other scale"):
        for n in range(LAYERS):
            yield "gpt", kind, n, gpt(kind)
    for kind in ("gamma and beta exchanged", "mean not loaded", "in and out exchanged"):
        for n in range(LAYERS):
            yield "convs", kind, n, convs(kind)


def make(name, seed):
    """(torch network with random weights and statistics, MindSpore network, rules, input)."""
    torch.manual_seed(seed)
    random = np.random.default_rng(seed)
    one, two, rules = {"decoder": (TorchDecoder, MsDecoder, DECODER_RULES), "gpt": (TorchGpt, MsGpt, GPT_RULES),
                       "convs": (TorchConvs, MsConvs, CONV_RULES)}[name]
    net = one()
    with torch.no_grad():
        for tensor_name, tensor in net.state_dict().items():
            if tensor.ndim == 1:
                tensor.copy_(torch.rand_like(tensor.float()) + 0.5)
            elif "embed" in tensor_name:
                tensor.mul_(0.05)  # as language models have it
            elif tensor.ndim > 1 and name != "decoder":
                tensor.mul_(2)
    inputs = {"decoder": lambda: random.integers(0, VOCABULARY, (2, 7)), "gpt": lambda: random.normal(size=(2, 7, WIDTH)).astype(np.float32),
              "convs": lambda: random.normal(size=(2, 4, 9, 9)).astype(np.float32)}[name]()
    return net.eval(), two(), rules, inputs
