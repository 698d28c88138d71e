#!/usr/bin/env python3
"""Migrates model folders that the libraries themselves wrote, and loads the results with the libraries' own loaders.

    check_folders.py CKMAP [--only NAME] [--keep FOLDER]

Small networks with random weights are saved by `save_pretrained` (transformers, diffusers, timm), migrated by
`ckmap migrate`, and loaded again: nothing may be missing, unexpected or newly initialised, no library may warn, and
all elements must be those of the source. Needs torch, transformers, diffusers, timm; mindspore, mindone and mindcv for the
targets of these names, which are left out and counted where they are not installed. Nothing is downloaded.
"""
import argparse
import collections
import contextlib
import hashlib
import importlib.util
import io
import json
import logging
import os
import pathlib
import subprocess
import sys
import tempfile
import warnings

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

import numpy as np
import torch

TEXT = dict(vocab_size=64, hidden_size=16, num_hidden_layers=2, num_attention_heads=4, intermediate_size=24,
            max_position_embeddings=32)
GROUPED = dict(TEXT, num_key_value_heads=2)


def text(config_class, model_class, **extra):
    def build():
        import transformers
        config = getattr(transformers, config_class)(**extra)
        return getattr(transformers, model_class)(config)
    return build


def vision(**extra):
    return dict(hidden_size=16, num_hidden_layers=2, num_attention_heads=4, intermediate_size=24, image_size=16,
                patch_size=8, **extra)


def clip():
    import transformers
    small = dict(hidden_size=16, num_hidden_layers=2, num_attention_heads=4, intermediate_size=24)
    return transformers.CLIPModel(transformers.CLIPConfig(
        text_config=dict(small, vocab_size=64, max_position_embeddings=32),
        vision_config=dict(small, image_size=16, patch_size=8), projection_dim=8))


def diffusion(name, **extra):
    def build():
        import diffusers
        return getattr(diffusers, name)(**extra)
    return build


def of_timm(name, **extra):
    def build():
        import timm
        return timm.create_model(name, num_classes=10, **extra)
    return build


# name → how it is built, how it is saved, the libraries that it goes to (mindcv with the name of its network).
Case = collections.namedtuple("Case", "build save targets")
HUB = ["transformers", "mindone"]
CASES = {
    "bert": Case(text("BertConfig", "BertModel", **TEXT), {}, HUB),
    "bert_mlm": Case(text("BertConfig", "BertForMaskedLM", **TEXT), {}, ["transformers"]),
    "roberta": Case(text("RobertaConfig", "RobertaModel", **TEXT), {}, HUB),
    "distilbert": Case(text("DistilBertConfig", "DistilBertModel", vocab_size=64, dim=16, n_layers=2, n_heads=4,
                            hidden_dim=24), {}, ["transformers"]),
    "electra": Case(text("ElectraConfig", "ElectraModel", embedding_size=8, **TEXT), {}, ["transformers"]),
    "albert": Case(text("AlbertConfig", "AlbertModel", embedding_size=8, **TEXT), {}, ["transformers"]),
    "deberta": Case(text("DebertaV2Config", "DebertaV2Model", **TEXT), {}, ["transformers"]),
    "modernbert": Case(text("ModernBertConfig", "ModernBertModel", pad_token_id=0, bos_token_id=1, eos_token_id=2,
                            cls_token_id=1, sep_token_id=2, **TEXT), {}, ["transformers"]),
    "gpt2": Case(text("GPT2Config", "GPT2LMHeadModel", vocab_size=64, n_embd=16, n_layer=2, n_head=4, n_positions=32),
                 {}, HUB),
    "gpt2_bin": Case(text("GPT2Config", "GPT2LMHeadModel", vocab_size=64, n_embd=16, n_layer=2, n_head=4,
                          n_positions=32), dict(safe_serialization=False), ["transformers"]),
    "gpt_neox": Case(text("GPTNeoXConfig", "GPTNeoXForCausalLM", **TEXT), {}, ["transformers"]),
    "llama": Case(text("LlamaConfig", "LlamaForCausalLM", **GROUPED), {}, HUB),
    "llama_sharded": Case(text("LlamaConfig", "LlamaForCausalLM", **GROUPED), dict(max_shard_size="8KB"), HUB),
    "llama_bin_sharded": Case(text("LlamaConfig", "LlamaForCausalLM", **GROUPED),
                              dict(max_shard_size="8KB", safe_serialization=False), ["transformers"]),
    "llama_bf16_tied": Case(text("LlamaConfig", "LlamaForCausalLM", tie_word_embeddings=True, **GROUPED),
                            dict(dtype=torch.bfloat16), ["transformers"]),
    "mistral": Case(text("MistralConfig", "MistralForCausalLM", **GROUPED), {}, ["transformers"]),
    "mixtral": Case(text("MixtralConfig", "MixtralForCausalLM", num_local_experts=4, **GROUPED), {}, HUB),
    "qwen2": Case(text("Qwen2Config", "Qwen2ForCausalLM", **GROUPED), {}, HUB),
    "qwen3": Case(text("Qwen3Config", "Qwen3ForCausalLM", head_dim=8, **GROUPED), {}, HUB),
    "qwen3_moe": Case(text("Qwen3MoeConfig", "Qwen3MoeForCausalLM", num_experts=4, moe_intermediate_size=8, head_dim=8,
                           **GROUPED), {}, ["transformers"]),
    "deepseek_v3": Case(text("DeepseekV3Config", "DeepseekV3ForCausalLM", n_routed_experts=4, n_group=1, topk_group=1,
                             num_experts_per_tok=2, moe_intermediate_size=8, first_k_dense_replace=1, q_lora_rank=8,
                             kv_lora_rank=8, qk_rope_head_dim=4, qk_nope_head_dim=4, v_head_dim=4,
                             **dict(TEXT, num_key_value_heads=4)), {}, ["transformers"]),
    "gemma2": Case(text("Gemma2Config", "Gemma2ForCausalLM", head_dim=8, **GROUPED), {}, ["transformers"]),
    "phi": Case(text("PhiConfig", "PhiForCausalLM", **TEXT), {}, ["transformers"]),
    "olmo2": Case(text("Olmo2Config", "Olmo2ForCausalLM", pad_token_id=0, **GROUPED), {}, ["transformers"]),
    "glm4": Case(text("Glm4Config", "Glm4ForCausalLM", head_dim=4, pad_token_id=0, **GROUPED), {}, ["transformers"]),
    "opt": Case(text("OPTConfig", "OPTForCausalLM", vocab_size=64, hidden_size=16, word_embed_proj_dim=16,
                     num_hidden_layers=2, num_attention_heads=4, ffn_dim=24, max_position_embeddings=32), {}, HUB),
    "t5": Case(text("T5Config", "T5ForConditionalGeneration", vocab_size=64, d_model=16, d_kv=4, d_ff=24, num_layers=2,
                    num_heads=4), {}, HUB),
    "bart": Case(text("BartConfig", "BartForConditionalGeneration", vocab_size=64, d_model=16, encoder_layers=2,
                      decoder_layers=2, encoder_attention_heads=4, decoder_attention_heads=4, encoder_ffn_dim=24,
                      decoder_ffn_dim=24, max_position_embeddings=32), {}, ["transformers"]),
    "whisper": Case(text("WhisperConfig", "WhisperModel", vocab_size=64, d_model=16, encoder_layers=2, decoder_layers=2,
                         encoder_attention_heads=4, decoder_attention_heads=4, encoder_ffn_dim=24, decoder_ffn_dim=24,
                         num_mel_bins=8, pad_token_id=0, bos_token_id=1, eos_token_id=2,
                         decoder_start_token_id=1), {}, HUB),
    "vit": Case(text("ViTConfig", "ViTForImageClassification", **vision()), {}, ["transformers"]),
    "clip": Case(clip, {}, HUB),
    "unet2d": Case(diffusion("UNet2DModel", sample_size=8, block_out_channels=(8, 16), layers_per_block=1,
                             norm_num_groups=4, down_block_types=("DownBlock2D", "AttnDownBlock2D"),
                             up_block_types=("AttnUpBlock2D", "UpBlock2D"), attention_head_dim=4), {}, ["diffusers"]),
    "vae": Case(diffusion("AutoencoderKL", block_out_channels=(8, 16), norm_num_groups=4, latent_channels=2,
                          down_block_types=("DownEncoderBlock2D",) * 2, up_block_types=("UpDecoderBlock2D",) * 2),
                {}, ["diffusers"]),
    "timm_resnet18": Case(of_timm("resnet18"), {}, ["timm", ("mindcv", "resnet18")]),
    "timm_resnet50": Case(of_timm("resnet50"), {}, [("mindcv", "resnet50")]),
    "timm_convnext": Case(of_timm("convnext_tiny"), {}, [("mindcv", "convnext_tiny")]),
    "timm_repvgg": Case(of_timm("repvgg_a0"), {}, [("mindcv", "repvgg_a0")]),
}


def digests(arrays):
    """The elements of all tensors, whatever their names, axes of size 1 and order."""
    found = collections.Counter()
    for array in arrays:
        array = np.ascontiguousarray(array)
        found[hashlib.sha256(array.tobytes()).hexdigest(), array.size] += 1
    return found


def of_torch(state):
    return [t.detach().contiguous().view(torch.int16 if t.dtype == torch.bfloat16 else t.dtype).numpy()
            for t in state.values()]


@contextlib.contextmanager
def no_warnings(complaints):
    """Collects what libraries say in warning: by `warnings`, and by their loggers."""
    class Handler(logging.Handler):
        def emit(self, record):
            complaints.append(record.getMessage())
    handler = Handler(logging.WARNING)
    loggers = [logging.getLogger(name) for name in ("transformers", "diffusers", "timm", "mindone", "mindcv", "")]
    for logger in loggers:
        logger.addHandler(handler)
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            yield
        complaints += [str(w.message) for w in caught if "checkpoint" in str(w.message).lower()]
    finally:
        for logger in loggers:
            logger.removeHandler(handler)


def save(case, model, folder):
    options = dict(case.save)
    if "dtype" in options:
        model = model.to(options.pop("dtype"))
    if hasattr(model, "save_pretrained"):
        model.save_pretrained(folder, **options)
        if not (folder / "model_index.json").exists():
            write_tokenizer(folder)
    else:
        import timm.models
        timm.models.save_for_hf(model, folder, model_config=dict(num_classes=10))
    (folder / "LICENSE").write_text("free\n")
    (folder / "modeling_custom.py").write_text("raise SystemExit('executed')\n")
    return model


def write_tokenizer(folder):
    (folder / "tokenizer.json").write_text(json.dumps({"version": "1.0", "model": {"type": "WordLevel", "vocab": {"a": 0}}}))
    (folder / "tokenizer_config.json").write_text("{}")
    (folder / "chat_template.jinja").write_text("{{ messages }}")


def load_hub(library, model, out, complaints):
    module = __import__(library)
    kind = getattr(module, type(model).__name__)
    options = dict(low_cpu_mem_usage=False) if library == "diffusers" else {}  # True wants another library
    with no_warnings(complaints):
        loaded, info = kind.from_pretrained(out, output_loading_info=True, **options)
    for key in ("missing_keys", "unexpected_keys", "mismatched_keys", "error_msgs"):
        if info.get(key):
            complaints.append(f"{key}: {list(info[key])[:3]}")
    ours, theirs = model.state_dict(), loaded.state_dict()
    for name, tensor in ours.items():
        if name not in theirs or not torch.equal(tensor, theirs[name].to(tensor.dtype)):
            complaints.append(f"{name} differs")
    if next(loaded.parameters()).dtype != next(model.parameters()).dtype and "bfloat16" not in str(model.dtype):
        complaints.append("the dtype differs")


def load_timm(model, out, complaints):
    import timm
    config = json.loads((out / "config.json").read_text())
    with no_warnings(complaints):
        loaded = timm.create_model(config["architecture"], num_classes=10, checkpoint_path=str(out / "model.safetensors"))
    if digests(of_torch(loaded.state_dict())) != digests(of_torch(model.state_dict())):
        complaints.append("elements differ")


def load_mindone(model, out, complaints):
    import mindone.transformers
    kind = getattr(mindone.transformers, type(model).__name__)
    with no_warnings(complaints):
        loaded, info = kind.from_pretrained(str(out), output_loading_info=True)
    for key in ("missing_keys", "unexpected_keys", "mismatched_keys", "error_msgs"):
        if info.get(key):
            complaints.append(f"{key}: {list(info[key])[:3]}")
    have = digests(p.asnumpy() for p in loaded.get_parameters())
    want = digests(of_torch({n: p for n, p in model.named_parameters()}))
    if want - have:
        complaints.append(f"{sum((want - have).values())} tensors of the source are not in the network")


def load_mindcv(network, model, out, complaints):
    import mindcv
    with no_warnings(complaints):
        loaded = mindcv.create_model(network, num_classes=10, checkpoint_path=str(out / "model.ckpt"))
    have = digests(p.asnumpy() for p in loaded.get_parameters())
    kept = {n: t for n, t in model.state_dict().items() if not n.endswith("num_batches_tracked")}
    if digests(of_torch(kept)) - have:
        complaints.append("tensors of the source are not in the network")


def check_files(out, complaints):
    names = {p.name for p in out.iterdir()}
    if "modeling_custom.py" in names or any(n.endswith(".index.json") for n in names):
        complaints.append(f"carried what it must not: {sorted(names)}")
    for name in ("LICENSE", "config.json"):
        if name not in names:
            complaints.append(f"{name} was not carried")


def check(name, case, target, ckmap, work):
    library, network = target if isinstance(target, tuple) else (target, None)
    folder, out = work / name, work / f"{name}_{library}"
    folder.mkdir()
    torch.manual_seed(7)
    model = case.build().eval()
    with torch.no_grad():
        for parameter in list(model.parameters()) + list(model.buffers()):
            if parameter.dtype.is_floating_point:
                parameter.copy_(torch.randn(parameter.shape) * 0.1 + 0.5)
    model = save(case, model, folder)
    run = subprocess.run([ckmap, "migrate", folder, "--to", library, "-o", out, "-q"], capture_output=True, text=True)
    if run.returncode != 0:
        return [f"exit code {run.returncode}: {run.stderr.strip()[:1000]}"]
    complaints = []
    check_files(out, complaints)
    quiet = io.StringIO()
    with contextlib.redirect_stdout(quiet):
        if library in ("transformers", "diffusers"):
            load_hub(library, model, out, complaints)
        elif library == "timm":
            load_timm(model, out, complaints)
        elif library == "mindone":
            load_mindone(model, out, complaints)
        else:
            load_mindcv(network, model, out, complaints)
    return complaints


def installed(library):
    return importlib.util.find_spec(library) is not None


def declare_missing_operations():
    """torchvision without its compiled operations can be imported where their names are declared."""
    try:
        library = torch.library.Library("torchvision", "DEF")
        for name in ("nms", "qnms"):
            library.define(name + "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        return library
    except RuntimeError:
        return None


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("ckmap")
    parser.add_argument("--only", action="append")
    parser.add_argument("--keep", type=pathlib.Path)
    arguments = parser.parse_args()
    passed = failed = skipped = 0
    have = {}
    operations = declare_missing_operations() if importlib.util.find_spec("torchvision") else None  # lives to the end
    for name, case in CASES.items():
        for target in case.targets:
            library = target[0] if isinstance(target, tuple) else target
            if arguments.only and name not in arguments.only:
                continue
            if not have.setdefault(library, installed(library)):
                skipped += 1
                continue
            with tempfile.TemporaryDirectory() as temporary:
                work = arguments.keep / f"{name}_to_{library}" if arguments.keep else pathlib.Path(temporary)
                work.mkdir(parents=True, exist_ok=True)
                try:
                    complaints = check(name, case, target, arguments.ckmap, work)
                except Exception as error:  # a loader that fails is what is looked for
                    complaints = [f"{type(error).__name__}: {str(error)[:500]}"]
            print(f"{'ok  ' if not complaints else 'FAIL'} {name} to {library}", flush=True)
            for complaint in complaints:
                print(f"     {complaint}")
            passed += not complaints
            failed += bool(complaints)
    print(f"{passed} passed, {failed} failed, {skipped} skipped")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
