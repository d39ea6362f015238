"""Small random language models that are not ours, with a tokenizer that knows no pointers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Literal, get_args

import numpy as np

from crs.narrator import foreign
from crs.narrator.gguf_export import interleave_halves
from crs.narrator.gguf_tokenizer import GgufTokenizer
from tests.crs.narrator_folders import WORDS

Arch = Literal["llama", "qwen2", "qwen3", "gemma3", "gemma2", "granite"]
SERVED: tuple[Arch, ...] = get_args(Arch)  # these read soft rows alike wherever they run
ARCHS = SERVED[:4]  # and these are trained for, too
CONFIGS = {
    "llama": "Llama", "qwen2": "Qwen2", "qwen3": "Qwen3",
    "gemma3": "Gemma3Text", "gemma2": "Gemma2", "granite": "Granite",
}  # fmt: skip
# How far llama.cpp may be from transformers, in logits; gemmas sum their attention in another order.
TOLERANCE = {arch: 2e-3 if arch.startswith("gemma") else 1e-3 for arch in SERVED}
# What a granite multiplies with, as none of the others does.
GRANITE = {
    "embedding_multiplier": 12.0,
    "residual_multiplier": 0.22,
    "attention_multiplier": 0.1,
    "logits_scaling": 2.0,
}
CHAT = (
    "{{ bos_token }}{% for m in messages %}<|{{ m['role'] }}|>{{ m['content'] }}<eos>{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)
TEXTS = (
    WORDS,
    "Buys the [1] things of one room. They bought the [12] kettle and the [target] tent. ",
    # So that prompts are short.
    *(foreign._SOFT_PREFACE, foreign._TEXT_PREFACE, *foreign._ASKED.values()),
)


def write_llm(folder: Path, *, arch: Arch = "llama", hidden: int = 128, chat: bool = False) -> Path:
    """A folder as downloaded models have it: weights in float32, config and tokenizer."""
    import torch
    import transformers
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    # What transformers pads with for this one, asked or not; to llama.cpp it ends a text.
    more_ends = ["<|endoftext|>"] if arch == "qwen2" else []
    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=1000,
        show_progress=False,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        special_tokens=["<bos>", "<eos>", "<|user|>", "<|assistant|>", *more_ends],
    )
    bpe.train_from_iterator(TEXTS * 9, trainer)
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=bpe,
        bos_token="<bos>",
        eos_token="<eos>",
        additional_special_tokens=["<|user|>", "<|assistant|>"],
    )
    if chat:
        tokenizer.chat_template = CHAT
    tokenizer.save_pretrained(folder)

    torch.manual_seed(4)
    # Shorter than any prompt; every other layer of a gemma2 sees all, to llama.cpp in any case.
    second = "full_attention" if arch == "gemma2" else "sliding_attention"
    window = {"layer_types": ["sliding_attention", second], "sliding_window": 16}
    special = {"query_pre_attn_scalar": 64, **window}
    config = getattr(transformers, f"{CONFIGS[arch]}Config")(
        vocab_size=bpe.get_vocab_size(),
        hidden_size=hidden,
        intermediate_size=256,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        head_dim=64,
        max_position_embeddings=1024,
        tie_word_embeddings=arch.startswith("gemma"),
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=[bpe.token_to_id(end) for end in ("<eos>", *more_ends)],
        initializer_range=0.15,  # wide enough that greedy text wanders and soft tokens matter
        **(special if arch.startswith("gemma") else GRANITE if arch == "granite" else {}),
    )
    model = transformers.AutoModelForCausalLM.from_config(config)
    with torch.no_grad():  # from what they begin as, these could be left out unnoticed
        for weight in model.parameters():
            if weight.dim() == 1:
                weight.add_(torch.randn_like(weight), alpha=0.1)
    model.save_pretrained(folder)
    return folder


def write_gguf(folder: Path, path: Path, *, chat: bool = True) -> Path:
    """The model of a folder that `write_llm` wrote, in float32, as llama.cpp reads it."""
    import gguf
    from transformers import AutoModelForCausalLM

    config = json.loads((folder / "config.json").read_text())
    arch: str = config["model_type"].removesuffix("_text")
    writer = gguf.GGUFWriter(path, arch)
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(config["hidden_size"])
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_head_count(config["num_attention_heads"])
    writer.add_head_count_kv(config["num_key_value_heads"])
    writer.add_key_length(config["head_dim"])
    writer.add_value_length(config["head_dim"])
    writer.add_rope_freq_base(10_000.0)
    writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
    if arch.startswith("gemma"):
        writer.add_sliding_window(config["sliding_window"])
    if arch == "gemma2":
        writer.add_attn_logit_softcapping(config["attn_logit_softcapping"])
        writer.add_final_logit_softcapping(config["final_logit_softcapping"])
    if arch == "granite":
        writer.add_embedding_scale(config["embedding_multiplier"])
        writer.add_residual_scale(config["residual_multiplier"])
        writer.add_attention_scale(config["attention_multiplier"])
        writer.add_logit_scale(config["logits_scaling"])
    tokenizer = folder / "tokenizer.json"
    GgufTokenizer.parse(json.loads(tokenizer.read_text()), tokenizer, config["vocab_size"]).write(writer)
    if chat:
        writer.add_chat_template(CHAT)
    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH[arch.upper()], config["num_hidden_layers"])
    model = AutoModelForCausalLM.from_pretrained(folder)
    for name, weight in model.named_parameters():
        tensor = weight.detach().numpy()
        if arch.startswith("gemma") and name.endswith("norm.weight"):
            tensor = tensor + np.float32(1)  # stored as its distance from 1
        if arch in ("llama", "granite") and ".q_proj." in name:
            tensor = interleave_halves(tensor, config["num_attention_heads"])
        if arch in ("llama", "granite") and ".k_proj." in name:
            tensor = interleave_halves(tensor, config["num_key_value_heads"])
        writer.add_tensor(names.get_name(name, (".weight", ".bias")), np.ascontiguousarray(tensor))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path
