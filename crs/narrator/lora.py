"""Low-rank updates of a foreign model (LoRA, Hu et al. 2021, arXiv 2106.09685) in a GGUF file.

llama.cpp adds them to its model at run time; for torch they are read back and added to the weights. Layout
of the file: llama.cpp's own converter of LoRA adapters.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from crs.narrator.gguf_export import interleave_halves, join_halves, written_whole
from knowledge.errors import ModelError, NotFoundError

LORA = "lora.gguf"
ARCHS = ("llama", "qwen2", "qwen3", "gemma3")

# What llama.cpp calls the matrices of a layer.
_IN_LAYER = {
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}
# A model that also sees has layers of other kinds under other names.
_MODULE = re.compile(r"(?:^|\.)(?:language_)?model\.layers\.(\d+)\.(" + "|".join(_IN_LAYER) + ")$")

# (a (rank, columns), b (rows, rank)), float32: the weight (rows, columns) grows by alpha / rank * b @ a
Update = tuple[np.ndarray, np.ndarray]


def place_of(module: str) -> str | None:
    """Where the module of this name in transformers stands in a GGUF ("blk.3.attn_q"); None for others."""
    found = _MODULE.search(module)
    return f"blk.{found[1]}.{_IN_LAYER[found[2]]}" if found else None


def write_lora(path: Path, updates: Mapping[str, Update], config: Any, *, alpha: float) -> None:
    """Write ``updates`` (by place) of a model with this configuration of transformers, whole or not at all.

    Raises ModelError for an architecture whose layout is not known here.
    """
    import gguf

    arch = check_arch(config)
    with written_whole(path, arch) as writer:
        writer.add_type(gguf.GGUFType.ADAPTER)
        writer.add_string(gguf.Keys.Adapter.TYPE, "lora")
        writer.add_float32(gguf.Keys.Adapter.LORA_ALPHA, alpha)
        for place, (a, b) in updates.items():
            if n_heads := _turned_heads(arch, place, config):
                b = interleave_halves(b, n_heads)
            writer.add_tensor(f"{place}.weight.lora_a", np.ascontiguousarray(a, dtype=np.float32))
            writer.add_tensor(f"{place}.weight.lora_b", np.ascontiguousarray(b, dtype=np.float32))


def merge_lora(model: Any, path: str | Path) -> None:
    """Add the updates in ``path`` to the weights of a model of transformers.

    Raises NotFoundError when there is no such file, ModelError when it is no LoRA of this model.
    """
    import torch

    config = model.config.get_text_config()
    updates, alpha = _read(Path(path), config)
    modules = {place: module for name, module in model.named_modules() if (place := place_of(name))}
    for place, (a, b) in updates.items():
        weight = modules[place].weight if place in modules else None
        if weight is None or (len(b), a.shape[1], len(a)) != (*weight.shape, b.shape[1]):
            raise ModelError(f"{path}: its {place} does not fit {config.model_type}; it is for another model")
        with torch.no_grad():
            scale = alpha / len(a) if alpha else 1.0  # as llama.cpp has it
            weight += torch.from_numpy(scale * b @ a).to(weight.device, weight.dtype)


def _read(path: Path, config: Any) -> tuple[dict[str, Update], float]:
    """Updates by place, as transformers has the rows, and alpha."""
    import gguf

    if not path.is_file():
        raise NotFoundError(f"{path}: no such LoRA file; train one or give another path")
    arch = check_arch(config)
    try:
        reader = gguf.GGUFReader(path)
        told = {name: field.contents() for name, field in reader.fields.items()}
        tensors = {
            tensor.name: np.array(gguf.quants.dequantize(tensor.data, tensor.tensor_type))
            for tensor in reader.tensors
        }
    except Exception as exc:  # the reader fails over a damaged file in whatever way numpy does
        raise ModelError(f"{path}: cannot be read as a GGUF ({exc}); make it anew") from exc
    if told.get("adapter.type") != "lora" or told.get("general.architecture") != arch:
        raise ModelError(f"{path}: not a LoRA of a {arch} model; give the one made for it")
    updates = {}
    for place in dict.fromkeys(name.rpartition(".weight.")[0] for name in tensors):
        try:
            a, b = (tensors[f"{place}.weight.lora_{half}"] for half in "ab")
        except KeyError as exc:
            raise ModelError(f"{path}: {exc} is missing; make the file anew") from exc
        if n_heads := _turned_heads(arch, place, config):
            b = join_halves(b, n_heads)
        updates[place] = (a, b)
    return updates, float(told.get("adapter.lora.alpha", 0.0))


def check_arch(config: Any) -> str:
    """What llama.cpp calls the architecture; ModelError for one whose layout is not known here."""
    arch: str = config.get_text_config().model_type.removesuffix("_text")
    if arch not in ARCHS:
        raise ModelError(f"LoRA of {arch} models is not known here, only of {', '.join(ARCHS)}")
    return arch


def _turned_heads(arch: str, place: str, config: Any) -> int:
    """How many heads' rows llama.cpp has in another order than transformers; 0 where it has not."""
    heads = {"attn_q": config.num_attention_heads, "attn_k": config.num_key_value_heads}
    return int(heads.get(place.rpartition(".")[2], 0)) if arch == "llama" else 0
