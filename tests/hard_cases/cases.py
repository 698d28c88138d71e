"""The hard cases: sizes, manifests, and the mathematics in numpy. See make.py."""
import numpy as np


def _rename(have, *pairs):
    """Each tensor under the name that the first fitting pair of prefixes gives it."""
    out = {}
    for name, value in have.items():
        for old, new in pairs:
            if name.startswith(old):
                out[new + name[len(old):]] = value
                break
        else:
            raise KeyError(name)
    return out


class resnet50_mindcv:
    FULL = dict(blocks=[3, 4, 6, 3], width=64, classes=1000)
    TINY = dict(blocks=[1, 2, 1, 1], width=4, classes=3)

    @staticmethod
    def _both(blocks, width, classes, source):
        bn = ["weight", "bias", "running_mean", "running_var"] if source else ["gamma", "beta", "moving_mean", "moving_variance"]
        count = ["num_batches_tracked"] if source else []
        down = "downsample" if source else "down_sample"

        def norm(prefix, channels):
            return [f"{prefix}.{{{','.join(bn)}}} f32 [{channels}]"] + [f"{prefix}.{c} i64 []" for c in count]

        out = [f"conv1.weight f32 [{width}, 3, 7, 7]"] + norm("bn1", width)
        channels = width
        for layer, n in enumerate(blocks):
            planes = width << layer
            wide = 4 * planes
            first, rest = f"layer{layer + 1}.0", f"layer{layer + 1}.{{1..{n - 1}}}"
            for block, into in [(first, channels)] + ([(rest, wide)] if n > 1 else []):
                out += [f"{block}.conv1.weight f32 [{planes}, {into}, 1, 1]", f"{block}.conv2.weight f32 [{planes}, {planes}, 3, 3]",
                        f"{block}.conv3.weight f32 [{wide}, {planes}, 1, 1]"]
                out += norm(f"{block}.bn{{1,2}}", planes) + norm(f"{block}.bn3", wide)
            out += [f"{first}.{down}.0.weight f32 [{wide}, {channels}, 1, 1]"] + norm(f"{first}.{down}.1", wide)
            channels = wide
        head = "fc" if source else "classifier"
        return out + [f"{head}.weight f32 [{classes}, {channels}]", f"{head}.bias f32 [{classes}]"]

    @classmethod
    def source(cls, **d):
        return cls._both(source=True, **d)

    @classmethod
    def target(cls, **d):
        return cls._both(source=False, **d)

    @staticmethod
    def convert(s, **_):
        norms = {n.rsplit(".", 1)[0] for n in s if n.endswith("running_mean")}
        leaf = {"weight": "gamma", "bias": "beta", "running_mean": "moving_mean", "running_var": "moving_variance"}
        out = {}
        for name, value in s.items():
            module, last = name.rsplit(".", 1)
            if last == "num_batches_tracked":
                continue
            new = leaf[last] if module in norms else last
            out[f"{module}.{new}".replace("downsample", "down_sample").replace("fc.", "classifier.")] = value
        return out


class bert_mindspore:
    """transformers' BERT to MindSpore's own BERT."""
    FULL = dict(L=12, D=768, F=3072, V=30522, P=512)
    TINY = dict(L=2, D=4, F=6, V=5, P=3)

    @staticmethod
    def source(L, D, F, V, P):
        e, x = "bert.embeddings", f"bert.encoder.layer.{{0..{L - 1}}}"
        return [f"{e}.word_embeddings.weight f32 [{V}, {D}]", f"{e}.position_embeddings.weight f32 [{P}, {D}]",
                f"{e}.token_type_embeddings.weight f32 [2, {D}]", f"{e}.position_ids i64 [1, {P}]",
                f"{e}.LayerNorm.{{weight,bias}} f32 [{D}]",
                f"{x}.attention.self.{{query,key,value}}.weight f32 [{D}, {D}]", f"{x}.attention.self.{{query,key,value}}.bias f32 [{D}]",
                f"{x}.attention.output.dense.weight f32 [{D}, {D}]", f"{x}.attention.output.dense.bias f32 [{D}]",
                f"{x}.attention.output.LayerNorm.{{weight,bias}} f32 [{D}]",
                f"{x}.intermediate.dense.weight f32 [{F}, {D}]", f"{x}.intermediate.dense.bias f32 [{F}]",
                f"{x}.output.dense.weight f32 [{D}, {F}]", f"{x}.output.dense.bias f32 [{D}]", f"{x}.output.LayerNorm.{{weight,bias}} f32 [{D}]",
                f"bert.pooler.dense.weight f32 [{D}, {D}]", f"bert.pooler.dense.bias f32 [{D}]"]

    @staticmethod
    def target(L, D, F, V, P):
        e, x = "bert.bert_embedding_postprocessor", f"bert.bert_encoder.layers.{{0..{L - 1}}}"
        return [f"bert.bert_embedding_lookup.embedding_table f32 [{V}, {D}]", f"{e}.full_position_embedding.embedding_table f32 [{P}, {D}]",
                f"{e}.token_type_embedding.embedding_table f32 [2, {D}]", f"{e}.layernorm.{{gamma,beta}} f32 [{D}]",
                f"{x}.attention.attention.{{query,key,value}}_layer.weight f32 [{D}, {D}]", f"{x}.attention.attention.{{query,key,value}}_layer.bias f32 [{D}]",
                f"{x}.attention.output.dense.weight f32 [{D}, {D}]", f"{x}.attention.output.dense.bias f32 [{D}]",
                f"{x}.attention.output.layernorm.{{gamma,beta}} f32 [{D}]",
                f"{x}.intermediate.weight f32 [{F}, {D}]", f"{x}.intermediate.bias f32 [{F}]",
                f"{x}.output.dense.weight f32 [{D}, {F}]", f"{x}.output.dense.bias f32 [{D}]", f"{x}.output.layernorm.{{gamma,beta}} f32 [{D}]",
                f"bert.dense.weight f32 [{D}, {D}]", f"bert.dense.bias f32 [{D}]"]

    @staticmethod
    def convert(s, L, **_):
        out = {}
        for name, value in s.items():
            if name.endswith("position_ids"):
                continue
            for old, new in [("bert.embeddings.word_embeddings.weight", "bert.bert_embedding_lookup.embedding_table"),
                             ("embeddings.position_embeddings.weight", "bert_embedding_postprocessor.full_position_embedding.embedding_table"),
                             ("embeddings.token_type_embeddings.weight", "bert_embedding_postprocessor.token_type_embedding.embedding_table"),
                             ("bert.embeddings.", "bert.bert_embedding_postprocessor."), ("bert.encoder.layer.", "bert.bert_encoder.layers."),
                             ("bert.pooler.dense", "bert.dense"), ("LayerNorm.weight", "layernorm.gamma"), ("LayerNorm.bias", "layernorm.beta"),
                             ("attention.self.query", "attention.attention.query_layer"), ("attention.self.key", "attention.attention.key_layer"),
                             ("attention.self.value", "attention.attention.value_layer"), ("intermediate.dense", "intermediate")]:
                name = name.replace(old, new)
            out[name] = value
        return out


class gpt2_dense:
    """GPT-2's Conv1D, [in, out], to Dense layers throughout, [out, in]; query, key and value apart."""
    FULL = dict(L=12, D=768, V=50257, P=1024)
    TINY = dict(L=2, D=4, V=7, P=6)

    @staticmethod
    def source(L, D, V, P):
        h = f"h.{{0..{L - 1}}}"
        return [f"wte.weight f32 [{V}, {D}]", f"wpe.weight f32 [{P}, {D}]", f"{h}.ln_{{1,2}}.{{weight,bias}} f32 [{D}]", f"ln_f.{{weight,bias}} f32 [{D}]",
                f"{h}.attn.c_attn.weight f32 [{D}, {3 * D}]", f"{h}.attn.c_attn.bias f32 [{3 * D}]", f"{h}.attn.c_proj.weight f32 [{D}, {D}]",
                f"{h}.attn.c_proj.bias f32 [{D}]", f"{h}.mlp.c_fc.weight f32 [{D}, {4 * D}]", f"{h}.mlp.c_fc.bias f32 [{4 * D}]",
                f"{h}.mlp.c_proj.weight f32 [{4 * D}, {D}]", f"{h}.mlp.c_proj.bias f32 [{D}]",
                f"{h}.attn.bias f32 [1, 1, {P}, {P}]", f"{h}.attn.masked_bias f32 []"]

    @staticmethod
    def target(L, D, V, P):
        h = f"blocks.{{0..{L - 1}}}"
        return [f"wte.embedding_table f32 [{V}, {D}]", f"wpe.embedding_table f32 [{P}, {D}]", f"{h}.ln_{{1,2}}.{{gamma,beta}} f32 [{D}]", f"ln_f.{{gamma,beta}} f32 [{D}]",
                f"{h}.attn.{{q,k,v,out}}.weight f32 [{D}, {D}]", f"{h}.attn.{{q,k,v,out}}.bias f32 [{D}]", f"{h}.mlp.up.weight f32 [{4 * D}, {D}]", f"{h}.mlp.up.bias f32 [{4 * D}]",
                f"{h}.mlp.down.weight f32 [{D}, {4 * D}]", f"{h}.mlp.down.bias f32 [{D}]"]

    @staticmethod
    def convert(s, L, D, **_):
        out = {"wte.embedding_table": s["wte.weight"], "wpe.embedding_table": s["wpe.weight"], "ln_f.gamma": s["ln_f.weight"], "ln_f.beta": s["ln_f.bias"]}
        for n in range(L):
            h, b = f"h.{n}", f"blocks.{n}"
            for i in (1, 2):
                out[f"{b}.ln_{i}.gamma"], out[f"{b}.ln_{i}.beta"] = s[f"{h}.ln_{i}.weight"], s[f"{h}.ln_{i}.bias"]
            w, c = s[f"{h}.attn.c_attn.weight"], s[f"{h}.attn.c_attn.bias"]
            for i, x in enumerate("qkv"):
                out[f"{b}.attn.{x}.weight"], out[f"{b}.attn.{x}.bias"] = w[:, i * D:(i + 1) * D].T, c[i * D:(i + 1) * D]
            for old, new in [("attn.c_proj", "attn.out"), ("mlp.c_fc", "mlp.up"), ("mlp.c_proj", "mlp.down")]:
                out[f"{b}.{new}.weight"], out[f"{b}.{new}.bias"] = s[f"{h}.{old}.weight"].T, s[f"{h}.{old}.bias"]
        return out


class gpt2_keras_mha:
    """The same attention as Keras' MultiHeadAttention: kernels [D, heads, head_dim], and [heads, head_dim, D] on the way out."""
    FULL = dict(L=12, D=768, H=12)
    TINY = dict(L=2, D=6, H=3)

    @staticmethod
    def source(L, D, H):
        h = f"h.{{0..{L - 1}}}.attn"
        return [f"{h}.c_attn.weight f32 [{D}, {3 * D}]", f"{h}.c_attn.bias f32 [{3 * D}]", f"{h}.c_proj.weight f32 [{D}, {D}]", f"{h}.c_proj.bias f32 [{D}]"]

    @staticmethod
    def target(L, D, H):
        h = f"layers/{{0..{L - 1}}}/attention"
        return [f"{h}/{{query,key,value}}/kernel f32 [{D}, {H}, {D // H}]", f"{h}/{{query,key,value}}/bias f32 [{H}, {D // H}]",
                f"{h}/attention_output/kernel f32 [{H}, {D // H}, {D}]", f"{h}/attention_output/bias f32 [{D}]"]

    @staticmethod
    def config(L, D, H):
        return {"n_head": H}

    @staticmethod
    def convert(s, L, D, H):
        out = {}
        for n in range(L):
            a, b = f"h.{n}.attn", f"layers/{n}/attention"
            for i, x in enumerate(["query", "key", "value"]):
                out[f"{b}/{x}/kernel"] = s[f"{a}.c_attn.weight"][:, i * D:(i + 1) * D].reshape(D, H, D // H)
                out[f"{b}/{x}/bias"] = s[f"{a}.c_attn.bias"][i * D:(i + 1) * D].reshape(H, D // H)
            out[f"{b}/attention_output/kernel"] = s[f"{a}.c_proj.weight"].reshape(H, D // H, D)
            out[f"{b}/attention_output/bias"] = s[f"{a}.c_proj.bias"]
        return out


class llama_meta_hf:
    """Meta's LLaMA to transformers: pairs of rotary dimensions become halves."""
    FULL = dict(L=32, D=4096, H=32, K=8, F=14336, V=128256)
    TINY = dict(L=2, D=16, H=2, K=1, F=6, V=5)

    @staticmethod
    def source(L, D, H, K, F, V):
        x, hd = f"layers.{{0..{L - 1}}}", D // H
        return [f"tok_embeddings.weight f32 [{V}, {D}]", f"{x}.attention.{{wq,wo}}.weight f32 [{D}, {D}]", f"{x}.attention.{{wk,wv}}.weight f32 [{K * hd}, {D}]",
                f"{x}.feed_forward.{{w1,w3}}.weight f32 [{F}, {D}]", f"{x}.feed_forward.w2.weight f32 [{D}, {F}]",
                f"{x}.{{attention,ffn}}_norm.weight f32 [{D}]", f"norm.weight f32 [{D}]", f"output.weight f32 [{V}, {D}]", f"rope.freqs f32 [{hd // 2}]"]

    @staticmethod
    def target(L, D, H, K, F, V):
        x, hd = f"model.layers.{{0..{L - 1}}}", D // H
        return [f"model.embed_tokens.weight f32 [{V}, {D}]", f"{x}.self_attn.{{q,o}}_proj.weight f32 [{D}, {D}]", f"{x}.self_attn.{{k,v}}_proj.weight f32 [{K * hd}, {D}]",
                f"{x}.mlp.{{gate,up}}_proj.weight f32 [{F}, {D}]", f"{x}.mlp.down_proj.weight f32 [{D}, {F}]",
                f"{x}.{{input,post_attention}}_layernorm.weight f32 [{D}]", f"model.norm.weight f32 [{D}]", f"lm_head.weight f32 [{V}, {D}]"]

    @staticmethod
    def config(H, K, **_):
        return {"num_attention_heads": H, "num_key_value_heads": K}

    @staticmethod
    def convert(s, L, D, H, K, **_):
        hd = D // H

        def halves(w, heads):
            out = np.empty_like(w)
            for h in range(heads):
                for i in range(hd // 2):
                    for half in range(2):
                        out[h * hd + half * (hd // 2) + i] = w[h * hd + 2 * i + half]
            return out

        out = {"model.embed_tokens.weight": s["tok_embeddings.weight"], "model.norm.weight": s["norm.weight"], "lm_head.weight": s["output.weight"]}
        for n in range(L):
            a, b = f"layers.{n}", f"model.layers.{n}"
            out[f"{b}.self_attn.q_proj.weight"] = halves(s[f"{a}.attention.wq.weight"], H)
            out[f"{b}.self_attn.k_proj.weight"] = halves(s[f"{a}.attention.wk.weight"], K)
            for old, new in [("attention.wv", "self_attn.v_proj"), ("attention.wo", "self_attn.o_proj"), ("feed_forward.w1", "mlp.gate_proj"),
                             ("feed_forward.w2", "mlp.down_proj"), ("feed_forward.w3", "mlp.up_proj"), ("attention_norm", "input_layernorm"),
                             ("ffn_norm", "post_attention_layernorm")]:
                out[f"{b}.{new}.weight"] = s[f"{a}.{old}.weight"]
        return out


class qwen2_5_fused:
    FULL = dict(L=28, D=3584, H=28, K=4, hd=128, F=18944, V=152064)
    TINY = dict(L=2, D=6, H=4, K=2, hd=2, F=3, V=5)

    @staticmethod
    def source(L, D, H, K, hd, F, V):
        x = f"model.layers.{{0..{L - 1}}}"
        return [f"model.embed_tokens.weight f32 [{V}, {D}]", f"{x}.self_attn.q_proj.weight f32 [{H * hd}, {D}]", f"{x}.self_attn.q_proj.bias f32 [{H * hd}]",
                f"{x}.self_attn.{{k,v}}_proj.weight f32 [{K * hd}, {D}]", f"{x}.self_attn.{{k,v}}_proj.bias f32 [{K * hd}]", f"{x}.self_attn.o_proj.weight f32 [{D}, {H * hd}]",
                f"{x}.mlp.{{gate,up}}_proj.weight f32 [{F}, {D}]", f"{x}.mlp.down_proj.weight f32 [{D}, {F}]",
                f"{x}.{{input,post_attention}}_layernorm.weight f32 [{D}]", f"model.norm.weight f32 [{D}]", f"lm_head.weight f32 [{V}, {D}]"]

    @staticmethod
    def target(L, D, H, K, hd, F, V):
        x, rows = f"model.layers.{{0..{L - 1}}}", (H + 2 * K) * hd
        return [f"model.tok_embeddings.embedding_weight f32 [{V}, {D}]", f"{x}.attention.w_qkv.weight f32 [{rows}, {D}]", f"{x}.attention.w_qkv.bias f32 [{rows}]",
                f"{x}.attention.wo.weight f32 [{D}, {H * hd}]", f"{x}.feed_forward.w_gate_hidden.weight f32 [{2 * F}, {D}]", f"{x}.feed_forward.w2.weight f32 [{D}, {F}]",
                f"{x}.{{attention,ffn}}_norm.weight f32 [{D}]", f"model.norm_out.weight f32 [{D}]", f"lm_head.weight f32 [{V}, {D}]"]

    @staticmethod
    def config(H, K, D, hd, **_):
        return {"num_attention_heads": H, "num_key_value_heads": K, "hidden_size": D, "head_dim": hd}

    @staticmethod
    def convert(s, L, H, K, hd, **_):
        out = {"model.tok_embeddings.embedding_weight": s["model.embed_tokens.weight"], "model.norm_out.weight": s["model.norm.weight"], "lm_head.weight": s["lm_head.weight"]}
        r = H // K
        for n in range(L):
            x = f"model.layers.{n}"
            for leaf in ("weight", "bias"):
                q, k, v = (s[f"{x}.self_attn.{p}_proj.{leaf}"] for p in "qkv")
                rows = []
                for g in range(K):
                    rows += [q[g * r * hd:(g + 1) * r * hd], k[g * hd:(g + 1) * hd], v[g * hd:(g + 1) * hd]]
                out[f"{x}.attention.w_qkv.{leaf}"] = np.concatenate(rows)
            gate, up = s[f"{x}.mlp.gate_proj.weight"], s[f"{x}.mlp.up_proj.weight"]
            both = np.empty((2 * len(gate), gate.shape[1]), gate.dtype)
            both[0::2], both[1::2] = gate, up
            out[f"{x}.feed_forward.w_gate_hidden.weight"] = both
            for old, new in [("self_attn.o_proj", "attention.wo"), ("mlp.down_proj", "feed_forward.w2"), ("input_layernorm", "attention_norm"), ("post_attention_layernorm", "ffn_norm")]:
                out[f"{x}.{new}.weight"] = s[f"{x}.{old}.weight"]
        return out


class mixtral_fused:
    """Experts that were apart become two tensors; twelve of them where they are tiny, so that 10 must come after 9."""
    FULL = dict(L=32, D=4096, E=8, F=14336, V=32000)
    TINY = dict(L=2, D=3, E=12, F=2, V=5)

    @staticmethod
    def source(L, D, E, F, V):
        x = f"model.layers.{{0..{L - 1}}}"
        return [f"model.embed_tokens.weight f32 [{V}, {D}]", f"lm_head.weight f32 [{V}, {D}]", f"{x}.block_sparse_moe.gate.weight f32 [{E}, {D}]",
                f"{x}.block_sparse_moe.experts.{{0..{E - 1}}}.{{w1,w3}}.weight f32 [{F}, {D}]", f"{x}.block_sparse_moe.experts.{{0..{E - 1}}}.w2.weight f32 [{D}, {F}]",
                f"{x}.self_attn.{{q,k,v,o}}_proj.weight f32 [{D}, {D}]"]

    @staticmethod
    def target(L, D, E, F, V):
        x = f"model.layers.{{0..{L - 1}}}"
        return [f"model.embed_tokens.weight f32 [{V}, {D}]", f"lm_head.weight f32 [{V}, {D}]", f"{x}.mlp.gate.weight f32 [{E}, {D}]",
                f"{x}.mlp.experts.gate_up_proj f32 [{E}, {2 * F}, {D}]", f"{x}.mlp.experts.down_proj f32 [{E}, {D}, {F}]", f"{x}.self_attn.{{q,k,v,o}}_proj.weight f32 [{D}, {D}]"]

    @staticmethod
    def config(E, **_):
        return {"num_local_experts": E}

    @staticmethod
    def convert(s, L, E, **_):
        out = {n: v for n, v in s.items() if "block_sparse_moe" not in n}
        for n in range(L):
            a, b = f"model.layers.{n}.block_sparse_moe", f"model.layers.{n}.mlp"
            out[f"{b}.gate.weight"] = s[f"{a}.gate.weight"]
            out[f"{b}.experts.gate_up_proj"] = np.stack([np.concatenate([s[f"{a}.experts.{e}.w1.weight"], s[f"{a}.experts.{e}.w3.weight"]]) for e in range(E)])
            out[f"{b}.experts.down_proj"] = np.stack([s[f"{a}.experts.{e}.w2.weight"] for e in range(E)])
        return out


class megatron_gqa:
    """transformers to Megatron-Core with tensor parallelism: gate and up are joined shard by shard, the vocabulary is padded."""
    FULL = dict(L=32, D=4096, H=32, K=8, hd=128, F=14336, V=128256, VP=128512, tp=8)
    TINY = dict(L=2, D=4, H=4, K=2, hd=2, F=6, V=5, VP=8, tp=3)

    @staticmethod
    def source(L, D, H, K, hd, F, V, VP, tp):
        x = f"model.layers.{{0..{L - 1}}}"
        return [f"model.embed_tokens.weight f32 [{V}, {D}]", f"lm_head.weight f32 [{V}, {D}]", f"model.norm.weight f32 [{D}]",
                f"{x}.self_attn.q_proj.weight f32 [{H * hd}, {D}]", f"{x}.self_attn.{{k,v}}_proj.weight f32 [{K * hd}, {D}]", f"{x}.self_attn.o_proj.weight f32 [{D}, {H * hd}]",
                f"{x}.mlp.{{gate,up}}_proj.weight f32 [{F}, {D}]", f"{x}.mlp.down_proj.weight f32 [{D}, {F}]", f"{x}.{{input,post_attention}}_layernorm.weight f32 [{D}]"]

    @staticmethod
    def target(L, D, H, K, hd, F, V, VP, tp):
        x = f"decoder.layers.{{0..{L - 1}}}"
        return [f"embedding.word_embeddings.weight f32 [{VP}, {D}]", f"output_layer.weight f32 [{VP}, {D}]", f"decoder.final_layernorm.weight f32 [{D}]",
                f"{x}.self_attention.linear_qkv.weight f32 [{(H + 2 * K) * hd}, {D}]", f"{x}.self_attention.linear_qkv.layer_norm_weight f32 [{D}]",
                f"{x}.self_attention.linear_proj.weight f32 [{D}, {H * hd}]", f"{x}.mlp.linear_fc1.weight f32 [{2 * F}, {D}]", f"{x}.mlp.linear_fc1.layer_norm_weight f32 [{D}]",
                f"{x}.mlp.linear_fc2.weight f32 [{D}, {F}]"]

    @staticmethod
    def config(H, K, hd, VP, tp, **_):
        return {"num_attention_heads": H, "num_key_value_heads": K, "head_dim": hd, "padded_vocab_size": VP, "tensor_model_parallel_size": tp}

    @staticmethod
    def convert(s, L, D, H, K, hd, F, V, VP, tp):
        def pad(w):
            return np.concatenate([w, np.zeros((VP - V, D), w.dtype)])

        out = {"embedding.word_embeddings.weight": pad(s["model.embed_tokens.weight"]), "output_layer.weight": pad(s["lm_head.weight"]),
               "decoder.final_layernorm.weight": s["model.norm.weight"]}
        r = H // K
        for n in range(L):
            a, b = f"model.layers.{n}", f"decoder.layers.{n}"
            q, k, v = (s[f"{a}.self_attn.{p}_proj.weight"] for p in "qkv")
            rows = []
            for g in range(K):
                rows += [q[g * r * hd:(g + 1) * r * hd], k[g * hd:(g + 1) * hd], v[g * hd:(g + 1) * hd]]
            out[f"{b}.self_attention.linear_qkv.weight"] = np.concatenate(rows)
            gate, up, f = s[f"{a}.mlp.gate_proj.weight"], s[f"{a}.mlp.up_proj.weight"], F // tp
            shards = []
            for t in range(tp):
                shards += [gate[t * f:(t + 1) * f], up[t * f:(t + 1) * f]]
            out[f"{b}.mlp.linear_fc1.weight"] = np.concatenate(shards)
            for old, new in [("self_attn.o_proj.weight", "self_attention.linear_proj.weight"), ("mlp.down_proj.weight", "mlp.linear_fc2.weight"),
                             ("input_layernorm.weight", "self_attention.linear_qkv.layer_norm_weight"), ("post_attention_layernorm.weight", "mlp.linear_fc1.layer_norm_weight")]:
                out[f"{b}.{new}"] = s[f"{a}.{old}"]
        return out


class vit_timm_hf:
    FULL = dict(L=12, D=768, P=16, N=197, C=1000)
    TINY = dict(L=2, D=4, P=2, N=5, C=3)

    @staticmethod
    def source(L, D, P, N, C):
        x = f"blocks.{{0..{L - 1}}}"
        return [f"cls_token f32 [1, 1, {D}]", f"pos_embed f32 [1, {N}, {D}]", f"patch_embed.proj.weight f32 [{D}, 3, {P}, {P}]", f"patch_embed.proj.bias f32 [{D}]",
                f"{x}.norm{{1,2}}.{{weight,bias}} f32 [{D}]", f"{x}.attn.qkv.weight f32 [{3 * D}, {D}]", f"{x}.attn.qkv.bias f32 [{3 * D}]", f"{x}.attn.proj.weight f32 [{D}, {D}]",
                f"{x}.attn.proj.bias f32 [{D}]", f"{x}.mlp.fc1.weight f32 [{4 * D}, {D}]", f"{x}.mlp.fc1.bias f32 [{4 * D}]", f"{x}.mlp.fc2.weight f32 [{D}, {4 * D}]", f"{x}.mlp.fc2.bias f32 [{D}]",
                f"norm.{{weight,bias}} f32 [{D}]", f"head.weight f32 [{C}, {D}]", f"head.bias f32 [{C}]"]

    @staticmethod
    def target(L, D, P, N, C):
        x = f"vit.encoder.layer.{{0..{L - 1}}}"
        return [f"vit.embeddings.cls_token f32 [1, 1, {D}]", f"vit.embeddings.position_embeddings f32 [1, {N}, {D}]",
                f"vit.embeddings.patch_embeddings.projection.weight f32 [{D}, 3, {P}, {P}]", f"vit.embeddings.patch_embeddings.projection.bias f32 [{D}]",
                f"{x}.layernorm_{{before,after}}.{{weight,bias}} f32 [{D}]", f"{x}.attention.attention.{{query,key,value}}.weight f32 [{D}, {D}]",
                f"{x}.attention.attention.{{query,key,value}}.bias f32 [{D}]", f"{x}.attention.output.dense.weight f32 [{D}, {D}]", f"{x}.attention.output.dense.bias f32 [{D}]",
                f"{x}.intermediate.dense.weight f32 [{4 * D}, {D}]", f"{x}.intermediate.dense.bias f32 [{4 * D}]", f"{x}.output.dense.weight f32 [{D}, {4 * D}]", f"{x}.output.dense.bias f32 [{D}]",
                f"vit.layernorm.{{weight,bias}} f32 [{D}]", f"classifier.weight f32 [{C}, {D}]", f"classifier.bias f32 [{C}]"]

    @staticmethod
    def convert(s, L, D, **_):
        out = {}
        e = "vit.embeddings."
        for leaf in ("weight", "bias"):
            out[f"{e}patch_embeddings.projection.{leaf}"] = s[f"patch_embed.proj.{leaf}"]
            out[f"vit.layernorm.{leaf}"] = s[f"norm.{leaf}"]
            out[f"classifier.{leaf}"] = s[f"head.{leaf}"]
            for n in range(L):
                a, b = f"blocks.{n}", f"vit.encoder.layer.{n}"
                for i, x in enumerate(["query", "key", "value"]):
                    out[f"{b}.attention.attention.{x}.{leaf}"] = s[f"{a}.attn.qkv.{leaf}"][i * D:(i + 1) * D]
                for old, new in [("norm1", "layernorm_before"), ("norm2", "layernorm_after"), ("attn.proj", "attention.output.dense"), ("mlp.fc1", "intermediate.dense"), ("mlp.fc2", "output.dense")]:
                    out[f"{b}.{new}.{leaf}"] = s[f"{a}.{old}.{leaf}"]
        out[e + "cls_token"], out[e + "position_embeddings"] = s["cls_token"], s["pos_embed"]
        return out


class torch_mha:
    """torch.nn.MultiheadAttention, also with keys and values of their own widths, to three projections."""
    FULL = dict(E=1024, KD=512, VD=256)
    TINY = dict(E=4, KD=3, VD=2)

    @staticmethod
    def source(E, KD, VD):
        return [f"same.self_attn.in_proj_weight f32 [{3 * E}, {E}]", f"same.self_attn.in_proj_bias f32 [{3 * E}]", f"same.self_attn.out_proj.weight f32 [{E}, {E}]", f"same.self_attn.out_proj.bias f32 [{E}]",
                f"cross.self_attn.q_proj_weight f32 [{E}, {E}]", f"cross.self_attn.k_proj_weight f32 [{E}, {KD}]", f"cross.self_attn.v_proj_weight f32 [{E}, {VD}]",
                f"cross.self_attn.in_proj_bias f32 [{3 * E}]", f"cross.self_attn.out_proj.weight f32 [{E}, {E}]", f"cross.self_attn.out_proj.bias f32 [{E}]"]

    @staticmethod
    def target(E, KD, VD):
        return [f"same.attn.{{q,k,v,o}}.weight f32 [{E}, {E}]", f"{{same,cross}}.attn.{{q,k,v,o}}.bias f32 [{E}]", f"cross.attn.{{q,o}}.weight f32 [{E}, {E}]",
                f"cross.attn.k.weight f32 [{E}, {KD}]", f"cross.attn.v.weight f32 [{E}, {VD}]"]

    @staticmethod
    def convert(s, E, **_):
        out = {}
        for i, x in enumerate("qkv"):
            out[f"same.attn.{x}.weight"] = s["same.self_attn.in_proj_weight"][i * E:(i + 1) * E]
            out[f"cross.attn.{x}.weight"] = s[f"cross.self_attn.{x}_proj_weight"]
            for m in ("same", "cross"):
                out[f"{m}.attn.{x}.bias"] = s[f"{m}.self_attn.in_proj_bias"][i * E:(i + 1) * E]
        for m in ("same", "cross"):
            out[f"{m}.attn.o.weight"], out[f"{m}.attn.o.bias"] = s[f"{m}.self_attn.out_proj.weight"], s[f"{m}.self_attn.out_proj.bias"]
        return out


class conv_layouts:
    """Convolutions of every kind to Keras' layout, and a Dense behind a flatten."""
    FULL = dict(O=64, I=3, K=7, T=32, C=512, H=7, W=7, F=4096)
    TINY = dict(O=2, I=3, K=4, T=5, C=2, H=3, W=4, F=3)

    @staticmethod
    def source(O, I, K, T, C, H, W, F):
        return [f"conv.weight f32 [{O}, {I}, {K}, {K + 1}]", f"up.weight f32 [{I}, {O}, {K}, {K + 1}]", f"conv1.weight f32 [{O}, {I}, {K}]", f"dense.weight f32 [{F}, {C * H * W}]",
                f"ms1.weight f32 [{O}, {I}, {T}]"]

    @staticmethod
    def target(O, I, K, T, C, H, W, F):
        return [f"conv/kernel f32 [{K}, {K + 1}, {I}, {O}]", f"up/kernel f32 [{K}, {K + 1}, {O}, {I}]", f"conv1/kernel f32 [{K}, {I}, {O}]", f"dense/kernel f32 [{H * W * C}, {F}]",
                f"ms1/weight f32 [{O}, {I}, 1, {T}]"]

    @staticmethod
    def config(C, H, W, **_):
        return {"channels": C, "height": H, "width": W}

    @staticmethod
    def convert(s, C, H, W, F, **_):
        dense = np.empty((H * W * C, F), np.float32)
        for c in range(C):
            for h in range(H):
                for w in range(W):
                    dense[(h * W + w) * C + c] = s["dense.weight"][:, (c * H + h) * W + w]
        return {"conv/kernel": s["conv.weight"].transpose(2, 3, 1, 0), "up/kernel": s["up.weight"].transpose(2, 3, 1, 0), "conv1/kernel": s["conv1.weight"].transpose(2, 1, 0),
                "dense/kernel": dense, "ms1/weight": s["ms1.weight"][:, :, None, :]}


class flat_indices:
    """Indices that are computed: dense layers count from 0 instead of 1, ConvNeXt's stages lie at 2i and 2i + 1, one flat list of blocks is cut in two levels."""
    FULL = dict(blocks=[6, 12, 24, 16], depths=[3, 3, 9, 3], G=32)
    TINY = dict(blocks=[2, 3, 1, 2], depths=[1, 2, 1, 1], G=2)

    @staticmethod
    def source(blocks, depths, G):
        out = [f"features.denseblock{b + 1}.denselayer{{1..{n}}}.conv2.weight f32 [{G}, {4 * G}, 3, 3]" for b, n in enumerate(blocks)]
        out += [f"stages.{i}.blocks.{{0..{n - 1}}}.gamma f32 [{G << i}]" for i, n in enumerate(depths)]
        out += [f"stages.{i}.downsample.1.weight f32 [{G << i}, {G << (i - 1)}, 2, 2]" for i in range(1, 4)]
        return out + [f"flat.{{0..11}}.weight f32 [{G}, {G}]"]

    @staticmethod
    def target(blocks, depths, G):
        out = [f"features.denseblock{b + 1}.cell_list.{{0..{n - 1}}}.conv2.weight f32 [{G}, {4 * G}, 3, 3]" for b, n in enumerate(blocks)]
        out += [f"feature.{2 * i + 1}.{{0..{n - 1}}}.gamma_ f32 [{G << i}]" for i, n in enumerate(depths)]
        out += [f"feature.{2 * i}.1.weight f32 [{G << i}, {G << (i - 1)}, 2, 2]" for i in range(1, 4)]
        return out + [f"down.{{0..3}}.res.{{0..2}}.weight f32 [{G}, {G}]"]

    @staticmethod
    def convert(s, blocks, depths, **_):
        out = {}
        for b, n in enumerate(blocks):
            for k in range(n):
                out[f"features.denseblock{b + 1}.cell_list.{k}.conv2.weight"] = s[f"features.denseblock{b + 1}.denselayer{k + 1}.conv2.weight"]
        for i, n in enumerate(depths):
            for k in range(n):
                out[f"feature.{2 * i + 1}.{k}.gamma_"] = s[f"stages.{i}.blocks.{k}.gamma"]
            if i:
                out[f"feature.{2 * i}.1.weight"] = s[f"stages.{i}.downsample.1.weight"]
        for k in range(12):
            out[f"down.{k // 3}.res.{k % 3}.weight"] = s[f"flat.{k}.weight"]
        return out


class tied_embeddings:
    """lm_head is absent in the source and wanted by the target: one tensor goes to two names."""
    FULL = dict(V=151936, D=896)
    TINY = dict(V=5, D=3)

    @staticmethod
    def source(V, D):
        return [f"model.embed_tokens.weight f32 [{V}, {D}]", f"model.norm.weight f32 [{D}]"]

    @staticmethod
    def target(V, D):
        return [f"model.embed_tokens.weight f32 [{V}, {D}]", f"model.norm.weight f32 [{D}]", f"lm_head.weight f32 [{V}, {D}]"]

    @staticmethod
    def config(**_):
        return {"tie_word_embeddings": True}

    @staticmethod
    def convert(s, **_):
        return {**s, "lm_head.weight": s["model.embed_tokens.weight"]}


class vocabulary_padding:
    """Rows are added, filled with zeros; lm_head in the same way; the bias with what never wins."""
    FULL = dict(V=50257, P=50304, D=768)
    TINY = dict(V=5, P=8, D=3)

    @staticmethod
    def source(V, P, D):
        return [f"wte.weight f32 [{V}, {D}]", f"lm_head.weight f32 [{V}, {D}]", f"lm_head.bias f32 [{V}]"]

    @staticmethod
    def target(V, P, D):
        return [f"wte.weight f32 [{P}, {D}]", f"lm_head.weight f32 [{P}, {D}]", f"lm_head.bias f32 [{P}]"]

    @staticmethod
    def config(P, **_):
        return {"padded_vocab_size": P}

    @staticmethod
    def convert(s, V, P, D):
        zeros = np.zeros((P - V, D), np.float32)
        return {"wte.weight": np.concatenate([s["wte.weight"], zeros]), "lm_head.weight": np.concatenate([s["lm_head.weight"], zeros]),
                "lm_head.bias": np.concatenate([s["lm_head.bias"], np.full(P - V, -10000, np.float32)])}


class gate_up_interleaved:
    """GPT-OSS and Llama-4: even columns are the gate, odd ones the up projection; [in, out] for each expert."""
    FULL = dict(L=24, E=32, D=2880, F=2880)
    TINY = dict(L=2, E=3, D=2, F=4)

    @staticmethod
    def source(L, E, D, F):
        x = f"model.layers.{{0..{L - 1}}}.mlp.experts"
        return [f"{x}.gate_up_proj f32 [{E}, {D}, {2 * F}]", f"{x}.gate_up_proj_bias f32 [{E}, {2 * F}]"]

    @staticmethod
    def target(L, E, D, F):
        x = f"layers.{{0..{L - 1}}}.experts"
        return [f"{x}.{{gate,up}}.weight f32 [{E}, {F}, {D}]", f"{x}.{{gate,up}}.bias f32 [{E}, {F}]"]

    @staticmethod
    def convert(s, L, **_):
        out = {}
        for n in range(L):
            w, b = s[f"model.layers.{n}.mlp.experts.gate_up_proj"], s[f"model.layers.{n}.mlp.experts.gate_up_proj_bias"]
            for i, x in enumerate(["gate", "up"]):
                out[f"layers.{n}.experts.{x}.weight"], out[f"layers.{n}.experts.{x}.bias"] = w[:, :, i::2].transpose(0, 2, 1), b[:, i::2]
        return out


class maxtext_query_scale:
    """MaxText folds the scale of attention into the query and keeps [D, heads, head_dim]; Gemma stores norms without their 1."""
    FULL = dict(L=26, D=2304, H=8, hd=256)
    TINY = dict(L=2, D=6, H=2, hd=4)

    @staticmethod
    def source(L, D, H, hd):
        x = f"model.layers.{{0..{L - 1}}}"
        return [f"{x}.self_attn.q_proj.weight f32 [{H * hd}, {D}]", f"{x}.input_layernorm.weight f32 [{D}]"]

    @staticmethod
    def target(L, D, H, hd):
        x = f"decoder.layers_{{0..{L - 1}}}"
        return [f"{x}.self_attention.query.kernel f32 [{D}, {H}, {hd}]", f"{x}.pre_self_attention_norm.scale f32 [{D}]"]

    @staticmethod
    def config(H, hd, **_):
        return {"num_attention_heads": H, "head_dim": hd}

    @staticmethod
    def convert(s, L, D, H, hd):
        out = {}
        for n in range(L):
            w = s[f"model.layers.{n}.self_attn.q_proj.weight"]
            factor = hd ** -0.5
            assert float(factor).hex() and np.log2(factor) == int(np.log2(factor))
            out[f"decoder.layers_{n}.self_attention.query.kernel"] = (w.T.reshape(D, H, hd) * np.float32(factor)).astype(np.float32)
            out[f"decoder.layers_{n}.pre_self_attention_norm.scale"] = s[f"model.layers.{n}.input_layernorm.weight"] + np.float32(1)
        return out


class yolo_indices:
    """Module numbers move by version of the network; the heads get names; the fixed weights of the DFL are an arange."""
    FULL = dict(N=22, C=256, nc=80)
    TINY = dict(N=4, C=2, nc=3)

    @staticmethod
    def source(N, C, nc):
        return [f"model.{{0..{N - 1}}}.conv.weight f32 [{C}, {C}, 3, 3]", f"model.{N}.{{cv2,cv3}}.{{0..2}}.{{0..1}}.conv.weight f32 [{C}, {C}, 3, 3]",
                f"model.{N}.cv2.{{0..2}}.2.weight f32 [64, {C}, 1, 1]", f"model.{N}.cv3.{{0..2}}.2.weight f32 [{nc}, {C}, 1, 1]", f"model.{N}.dfl.conv.weight f32 [1, 16, 1, 1]"]

    @staticmethod
    def target(N, C, nc):
        return [f"backbone.{{1..{N}}}.conv.weight f32 [{C}, {C}, 3, 3]", f"head.{{anchor,class}}_conv.{{0..2}}.{{0..1}}.conv.weight f32 [{C}, {C}, 3, 3]",
                f"head.anchor_conv.{{0..2}}.2.weight f32 [64, {C}, 1, 1]", f"head.class_conv.{{0..2}}.2.weight f32 [{nc}, {C}, 1, 1]"]

    @staticmethod
    def config(N, **_):
        return {"head": N}

    @staticmethod
    def convert(s, N, **_):
        out = {}
        for name, value in s.items():
            _, n, rest = name.split(".", 2)
            if int(n) < N:
                out[f"backbone.{int(n) + 1}.{rest}"] = value
            elif not rest.startswith("dfl"):
                out["head." + rest.replace("cv2", "anchor_conv").replace("cv3", "class_conv")] = value
        return out


class repvgg_fused:
    """RepVGG-A0: a block's two convolutions, and its identity where it has one, each with a norm, become one convolution."""
    FULL = dict(depths=[1, 2, 4, 14, 1], widths=[48, 48, 96, 192, 1280], I=3, classes=1000)
    TINY = dict(depths=[1, 2], widths=[2, 4], I=3, classes=3)

    @staticmethod
    def _blocks(depths, widths, I):
        into = I
        for stage, (depth, width) in enumerate(zip(depths, widths)):
            yield f"stage{stage}.0", into, width, False
            if depth > 1:
                yield f"stage{stage}.{{1..{depth - 1}}}", width, width, True
            into = width

    @classmethod
    def source(cls, depths, widths, I, classes):
        def norm(name, width):
            return [f"{name}.{{weight,bias,running_mean,running_var}} f32 [{width}]", f"{name}.num_batches_tracked i64 []"]

        out = []
        for block, into, width, identity in cls._blocks(depths, widths, I):
            out += [f"{block}.rbr_dense.conv.weight f32 [{width}, {into}, 3, 3]"] + norm(f"{block}.rbr_dense.bn", width)
            out += [f"{block}.rbr_1x1.conv.weight f32 [{width}, {into}, 1, 1]"] + norm(f"{block}.rbr_1x1.bn", width)
            out += norm(f"{block}.rbr_identity", width) if identity else []
        return out + [f"linear.weight f32 [{classes}, {widths[-1]}]", f"linear.bias f32 [{classes}]"]

    @classmethod
    def target(cls, depths, widths, I, classes):
        out = []
        for block, into, width, _ in cls._blocks(depths, widths, I):
            out += [f"{block}.rbr_reparam.weight f32 [{width}, {into}, 3, 3]", f"{block}.rbr_reparam.bias f32 [{width}]"]
        return out + [f"linear.weight f32 [{classes}, {widths[-1]}]", f"linear.bias f32 [{classes}]"]

    @staticmethod
    def prepare(have):
        return {n: np.abs(v) + np.float32(0.5) if n.endswith("running_var") else v for n, v in have.items()}

    @staticmethod
    def convert(s, **_):
        out = {"linear.weight": s["linear.weight"], "linear.bias": s["linear.bias"]}
        for block in sorted({n.split(".rbr_")[0] for n in s if ".rbr_" in n}):
            kernel, bias = np.float64(0), np.float64(0)
            for branch in ("rbr_dense", "rbr_1x1", "rbr_identity"):
                norm = f"{block}.{branch}" + ("" if branch == "rbr_identity" else ".bn")
                if f"{norm}.weight" not in s:
                    continue
                gamma, beta, mean, var = (s[f"{norm}.{leaf}"].astype(np.float64) for leaf in ("weight", "bias", "running_mean", "running_var"))
                if branch == "rbr_identity":
                    conv = np.zeros((len(gamma), len(gamma), 3, 3))
                    for c in range(len(gamma)):
                        conv[c, c, 1, 1] = 1
                else:
                    conv = s[f"{block}.{branch}.conv.weight"].astype(np.float64)
                    if branch == "rbr_1x1":
                        conv = np.pad(conv, ((0, 0), (0, 0), (1, 1), (1, 1)))
                factor = gamma / np.sqrt(var + 1e-5)  # each branch is rounded to f32, and then their sum
                kernel, bias = kernel + (conv * factor[:, None, None, None]).astype(np.float32), bias + (beta - mean * factor).astype(np.float32)
            out[f"{block}.rbr_reparam.weight"], out[f"{block}.rbr_reparam.bias"] = kernel.astype(np.float32), bias.astype(np.float32)
        return out


class weight_norm_folded:
    """HiFi-GAN: the weights of its convolutions, kept as lengths and directions (of two kinds of names), become plain ones."""
    FULL = dict(channels=512, kernels=[16, 16, 4, 4], mel=80)
    TINY = dict(channels=4, kernels=[3, 2], mel=3)

    @staticmethod
    def _convolutions(channels, kernels, mel):
        yield "conv_pre", True, [channels, mel, 7]
        for i, kernel in enumerate(kernels):
            yield f"ups.{i}", True, [channels >> i, channels >> (i + 1), kernel]
            for j, size in enumerate((3, 7, 11)):
                yield f"resblocks.{3 * i + j}.convs1.{{0..2}}", False, [channels >> (i + 1), channels >> (i + 1), size]
        yield "conv_post", True, [1, channels >> len(kernels), 7]

    @classmethod
    def source(cls, **d):
        out = []
        for name, old, shape in cls._convolutions(**d):
            g, v = (f"{name}.weight_g", f"{name}.weight_v") if old else (f"{name}.parametrizations.weight.original{i}" for i in (0, 1))
            out += [f"{g} f32 [{shape[0]}, 1, 1]", f"{v} f32 {shape}", f"{name}.bias f32 [{shape[1] if name.startswith('ups') else shape[0]}]"]
        return out

    @classmethod
    def target(cls, **d):
        return [t for name, _, shape in cls._convolutions(**d) for t in (f"{name}.weight f32 {shape}", f"{name}.bias f32 [{shape[1] if name.startswith('ups') else shape[0]}]")]

    @staticmethod
    def convert(s, **_):
        out = {n: v for n, v in s.items() if n.endswith("bias")}
        for name, v in s.items():
            if name.endswith("weight_v") or name.endswith("original1"):
                g = s[name.replace("weight_v", "weight_g").replace("original1", "original0")]
                v = v.astype(np.float64)
                length = np.sqrt((v * v).sum(axis=(1, 2), keepdims=True))
                out[name.replace("_v", "").replace(".parametrizations", "").replace(".original1", "")] = (g * v / length).astype(np.float32)
        return out


class lora_merged:
    """PEFT's adapters of query and value projections, merged; GPT-2's Conv1D among them is [in, out]."""
    FULL = dict(L=32, D=4096, K=1024, r=16, alpha=32)
    TINY = dict(L=2, D=4, K=3, r=2, alpha=3)

    @staticmethod
    def source(L, D, K, r, alpha):
        m, b = f"model.layers.{{0..{L - 1}}}.self_attn", f"base_model.model.model.layers.{{0..{L - 1}}}.self_attn"
        return [f"{m}.{{q,o}}_proj.weight f32 [{D}, {D}]", f"{m}.{{k,v}}_proj.weight f32 [{K}, {D}]", f"{b}.{{q,v}}_proj.lora_A.weight f32 [{r}, {D}]",
                f"{b}.q_proj.lora_B.weight f32 [{D}, {r}]", f"{b}.v_proj.lora_B.weight f32 [{K}, {r}]"]

    @staticmethod
    def target(L, D, K, r, alpha):
        m = f"model.layers.{{0..{L - 1}}}.self_attn"
        return [f"{m}.{{q,o}}_proj.weight f32 [{D}, {D}]", f"{m}.{{k,v}}_proj.weight f32 [{K}, {D}]"]

    @staticmethod
    def config(r, alpha, **_):
        return {"r": r, "lora_alpha": alpha}

    @staticmethod
    def convert(s, r, alpha, **_):
        out = {}
        for name, w in s.items():
            if name.startswith("base_model"):
                continue
            part = "base_model.model." + name.removesuffix(".weight")
            if f"{part}.lora_A.weight" in s:
                a, b = s[f"{part}.lora_A.weight"].astype(np.float64), s[f"{part}.lora_B.weight"].astype(np.float64)
                w = (w + alpha / r * (b @ a)).astype(np.float32)
            out[name] = w
        return out


class vit_resized:
    """ViT-B/16 from 224 to 384 pixels (row 0 of the positions is the class token's), and Swin's tables from windows of 7 to 12."""
    FULL = dict(D=768, P=14, Q=24, H=3, W=7, X=12)
    TINY = dict(D=3, P=3, Q=5, H=2, W=2, X=3)

    @staticmethod
    def source(D, P, Q, H, W, X):
        return [f"pos_embed f32 [1, {1 + P * P}, {D}]", f"layers.0.attn.relative_position_bias_table f32 [{(2 * W - 1) ** 2}, {H}]"]

    @staticmethod
    def target(D, P, Q, H, W, X):
        return [f"pos_embed f32 [1, {1 + Q * Q}, {D}]", f"layers.0.attn.relative_position_bias_table f32 [{(2 * X - 1) ** 2}, {H}]"]

    @staticmethod
    def config(P, Q, W, X, **_):
        return {"grid": P, "new_grid": Q, "window": W, "new_window": X}

    @staticmethod
    def _bicubic(line, size):
        """Along axis 0, as torch does: a = -0.75, corners not aligned, edges repeated, no antialiasing."""
        n, a = line.shape[0], -0.75

        def weight(x):
            x = abs(x)
            if x <= 1:
                return (a + 2) * x ** 3 - (a + 3) * x ** 2 + 1
            return a * x ** 3 - 5 * a * x ** 2 + 8 * a * x - 4 * a if x < 2 else 0.0

        out = np.zeros((size,) + line.shape[1:])
        for i in range(size):
            at = (i + 0.5) * n / size - 0.5
            base = int(np.floor(at))
            for k in range(base - 1, base + 3):
                out[i] += weight(at - k) * line[min(max(k, 0), n - 1)]
        return out

    @classmethod
    def _grid(cls, plane, size):
        plane = cls._bicubic(plane.astype(np.float64), size)
        return cls._bicubic(plane.swapaxes(0, 1), size).swapaxes(0, 1)

    @classmethod
    def convert(cls, s, D, P, Q, H, W, X):
        pos, name = s["pos_embed"], "layers.0.attn.relative_position_bias_table"
        grid = cls._grid(pos[0, 1:].reshape(P, P, D), Q).reshape(1, Q * Q, D).astype(np.float32)
        table = cls._grid(s[name].reshape(2 * W - 1, 2 * W - 1, H), 2 * X - 1).reshape(-1, H).astype(np.float32)
        return {"pos_embed": np.concatenate([pos[:, :1], grid], axis=1), name: table}


class gemma_and_mamba:
    """Gemma's norms hold what is added to 1; Mamba's decay is kept as the logarithm of its negative."""
    FULL = dict(L=26, D=2304, N=24, C=1536, S=16)
    TINY = dict(L=2, D=3, N=2, C=2, S=3)

    @staticmethod
    def source(L, D, N, C, S):
        x = f"model.layers.{{0..{L - 1}}}"
        return [f"{x}.{{input,post_attention,pre_feedforward,post_feedforward}}_layernorm.weight f32 [{D}]", f"model.norm.weight f32 [{D}]",
                f"backbone.layers.{{0..{N - 1}}}.mixer.A_log f32 [{C}, {S}]"]

    @staticmethod
    def target(L, D, N, C, S):
        x = f"layers.{{0..{L - 1}}}"
        return [f"{x}.{{input,post_attention,pre_feedforward,post_feedforward}}_norm.scale f32 [{D}]", f"final_norm.scale f32 [{D}]", f"mixers.{{0..{N - 1}}}.A f32 [{C}, {S}]"]

    @staticmethod
    def convert(s, **_):
        out = {}
        for name, value in s.items():
            if name.endswith("A_log"):
                out[f"mixers.{name.split('.')[2]}.A"] = (-np.exp(value.astype(np.float64))).astype(np.float32)
            elif name == "model.norm.weight":
                out["final_norm.scale"] = value + np.float32(1)
            else:
                out[name.replace("model.", "").replace("layernorm.weight", "norm.scale")] = value + np.float32(1)
        return out


class vocabulary_padding_learned:
    """Rows are added that are copies of the last one; in the head they are the mean of all."""
    FULL = dict(V=50257, P=50304, D=768)
    TINY = dict(V=5, P=8, D=3)

    @staticmethod
    def source(V, P, D):
        return [f"{{wte,lm_head}}.weight f32 [{V}, {D}]"]

    @staticmethod
    def target(V, P, D):
        return [f"{{wte,lm_head}}.weight f32 [{P}, {D}]"]

    @staticmethod
    def config(P, **_):
        return {"padded_vocab_size": P}

    @staticmethod
    def convert(s, V, P, D):
        w, h = s["wte.weight"], s["lm_head.weight"]
        mean = h.astype(np.float64).mean(axis=0, keepdims=True).astype(np.float32)
        return {"wte.weight": np.concatenate([w] + [w[-1:]] * (P - V)), "lm_head.weight": np.concatenate([h] + [mean] * (P - V))}
