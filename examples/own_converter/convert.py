# A converter that somebody wrote by hand: fused query, key and value head by head, transposed matrices, interleaved gates.
import json, struct, sys

def read(path):
    data = open(path, "rb").read()
    size = struct.unpack("<Q", data[:8])[0]
    header = json.loads(data[8:8 + size])
    header.pop("__metadata__", None)
    out = {}
    for name, entry in header.items():
        begin, end = entry["data_offsets"]
        count = (end - begin) // 4
        out[name] = (entry["shape"], list(struct.unpack(f"<{count}f", data[8 + size + begin:8 + size + end])))
    return out

def write(path, tensors):
    header, body = {}, b""
    for name, (shape, values) in tensors.items():
        raw = struct.pack(f"<{len(values)}f", *values)
        header[name] = {"dtype": "F32", "shape": shape, "data_offsets": [len(body), len(body) + len(raw)]}
        body += raw
    head = json.dumps(header).encode()
    open(path, "wb").write(struct.pack("<Q", len(head)) + head + body)

def transpose(tensor):
    (rows, columns), values = tensor
    return [columns, rows], [values[r * columns + c] for c in range(columns) for r in range(rows)]

def concat(parts):
    return [sum(p[0][0] for p in parts)] + parts[0][0][1:], [v for p in parts for v in p[1]]

def interleave(parts, block):
    shape, columns = parts[0][0], parts[0][0][1]
    values = [v for at in range(0, shape[0], block) for p in parts for v in p[1][at * columns:(at + block) * columns]]
    return [shape[0] * len(parts), columns], values

def halves(tensor):
    (rows, columns), values = tensor
    half = rows // 2 * columns
    return ([rows // 2, columns], values[:half]), ([rows // 2, columns], values[half:])

source, target = read(sys.argv[1]), {}
HEAD = 4
for n in range(3):
    old, new = f"encoder.layers.{n}.", f"blocks.{n}."
    target[new + "attn.qkv"] = interleave([source[old + f"attn.{p}.weight"] for p in "qkv"], HEAD)
    target[new + "attn.qkv_bias"] = concat([source[old + f"attn.{p}.bias"] for p in "qkv"])
    target[new + "attn.out"] = transpose(source[old + "attn.o.weight"])
    target[new + "ln1.gamma"] = source[old + "norm_a.weight"]
    target[new + "ln1.beta"] = source[old + "norm_a.bias"]
    target[new + "ln2.gamma"] = source[old + "norm_b.weight"]
    target[new + "ln2.beta"] = source[old + "norm_b.bias"]
    target[new + "w1"], target[new + "w3"] = halves(source[old + "mlp.gate_up.weight"])
    target[new + "w2"] = transpose(source[old + "mlp.down.weight"])
target["embed.table"] = source["embed.weight"]
shape, values = source["head.weight"]
target["head"] = (shape, [v * 0.5 for v in values])
write(sys.argv[2], target)
