"""Our checkpoint, in the layout of Hugging Face's Llama, written as the GGUF file that llama.cpp reads.

Reads config.json, model.safetensors and tokenizer.json of a narrator's folder; needs no torch.
Layout of the file: the GGUF specification (ggml-org/ggml, docs/gguf.md), architecture ``llama``.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from crs.narrator.gguf_tokenizer import GgufTokenizer
from knowledge.errors import BundleError

if TYPE_CHECKING:
    from gguf import GGUFWriter

GgufType = Literal["f16", "f32", "q8_0"]

PARTS = ("config.json", "model.safetensors", "tokenizer.json")
_LAYOUT = b"1"  # raise it when the same parts come to be written in another way: cached files go stale


def cached_gguf(narrator_dir: str | Path, cache_dir: str | Path, dtype: GgufType = "f16") -> Path:
    """The GGUF of ``narrator_dir`` under ``cache_dir``, written at first use.

    Its name carries a fingerprint of the three parts, so changed weights get a new file.
    Raises BundleError as ``export_gguf`` does.
    """
    path = Path(cache_dir) / f"narrator-{fingerprint(narrator_dir)[:16]}-{dtype}.gguf"
    if not path.is_file():
        export_gguf(narrator_dir, path, dtype)
    return path


def fingerprint(narrator_dir: str | Path) -> str:
    """SHA-256 (hex) over config, weights and tokenizer. Raises BundleError when one is missing."""
    digest = hashlib.sha256(_LAYOUT)
    for part in PARTS:
        digest.update(hashlib.sha256(_read(Path(narrator_dir) / part)).digest())
    return digest.hexdigest()


def export_gguf(narrator_dir: str | Path, out_path: str | Path, dtype: GgufType = "f16") -> None:
    """Write the narrator as one GGUF file at ``out_path``, whole or not at all.

    ``dtype`` is that of the matrices; norms stay float32. Raises BundleError when a part is missing
    or damaged, or when the parts do not fit each other or the llama architecture.
    """
    folder, out_path = Path(narrator_dir), Path(out_path)
    shape = LlamaShape.read(folder / "config.json")
    tokenizer_path = folder / "tokenizer.json"
    tokenizer = GgufTokenizer.parse(_read_json(tokenizer_path), tokenizer_path, shape.n_vocab)
    weights = _read_weights(folder / "model.safetensors", shape)

    out_path.parent.mkdir(parents=True, exist_ok=True)
    with written_whole(out_path, "llama") as writer:
        writer.add_name("Raconteur narrator")
        shape.write(writer)
        tokenizer.write(writer)
        _write_weights(writer, weights, shape, dtype)


@contextmanager
def written_whole(path: Path, arch: str) -> Iterator[Any]:
    """A ``gguf.GGUFWriter`` of ``arch``; what it is given becomes the file at ``path``, or nothing does."""
    import gguf

    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    os.close(handle)
    try:
        writer = gguf.GGUFWriter(name, arch)
        yield writer
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()
        os.replace(name, path)
    finally:
        Path(name).unlink(missing_ok=True)


@dataclass(frozen=True, slots=True)
class LlamaShape:
    """The sizes of a Llama model, as config.json gives them."""

    n_vocab: int
    hidden: int
    n_layers: int
    n_heads: int
    n_kv_heads: int
    head_dim: int
    ff_dim: int
    context_length: int
    rope_theta: float
    rms_eps: float
    tied: bool

    @classmethod
    def read(cls, path: Path) -> LlamaShape:
        """From a Hugging Face ``LlamaConfig``. Raises BundleError on what llama.cpp would run differently."""
        config = _read_json(path)
        # transformers 5 moved the rope settings into a mapping of their own
        rope = config.get("rope_parameters") or config.get("rope_scaling") or {}
        unlike = {
            "model_type": config.get("model_type") != "llama",
            "hidden_act": config.get("hidden_act", "silu") != "silu",
            "attention_bias": bool(config.get("attention_bias")),
            "mlp_bias": bool(config.get("mlp_bias")),
            "rope type": rope.get("rope_type", "default") != "default",
        }
        if any(unlike.values()):
            fields = ", ".join(name for name, differs in unlike.items() if differs)
            raise BundleError(f"{path}: only a plain Llama can be exported, this one differs in {fields}")
        try:
            hidden, n_heads = int(config["hidden_size"]), int(config["num_attention_heads"])
            return cls(
                n_vocab=int(config["vocab_size"]),
                hidden=hidden,
                n_layers=int(config["num_hidden_layers"]),
                n_heads=n_heads,
                n_kv_heads=int(config.get("num_key_value_heads") or n_heads),
                head_dim=int(config.get("head_dim") or hidden // n_heads),
                ff_dim=int(config["intermediate_size"]),
                context_length=int(config["max_position_embeddings"]),
                rope_theta=float(rope.get("rope_theta") or config.get("rope_theta") or 10_000.0),
                rms_eps=float(config["rms_norm_eps"]),
                tied=bool(config.get("tie_word_embeddings", False)),
            )
        except (KeyError, TypeError, ValueError) as exc:
            raise BundleError(f"{path}: {exc} is missing or not a number; copy the file again") from exc

    def write(self, writer: GGUFWriter) -> None:
        """Put the sizes into the file's metadata."""
        writer.add_vocab_size(self.n_vocab)
        writer.add_context_length(self.context_length)
        writer.add_embedding_length(self.hidden)
        writer.add_block_count(self.n_layers)
        writer.add_feed_forward_length(self.ff_dim)
        writer.add_head_count(self.n_heads)
        writer.add_head_count_kv(self.n_kv_heads)
        writer.add_key_length(self.head_dim)
        writer.add_value_length(self.head_dim)
        writer.add_rope_dimension_count(self.head_dim)
        writer.add_rope_freq_base(self.rope_theta)
        writer.add_layer_norm_rms_eps(self.rms_eps)

    def tensors(self) -> Iterator[tuple[str, str, tuple[int, ...]]]:
        """(name in safetensors, name in GGUF, shape as torch writes it: rows out, columns in)."""
        queries, keys = self.n_heads * self.head_dim, self.n_kv_heads * self.head_dim
        yield "model.embed_tokens.weight", "token_embd.weight", (self.n_vocab, self.hidden)
        yield "model.norm.weight", "output_norm.weight", (self.hidden,)
        if not self.tied:
            yield "lm_head.weight", "output.weight", (self.n_vocab, self.hidden)
        in_layer = (
            ("input_layernorm", "attn_norm", (self.hidden,)),
            ("self_attn.q_proj", "attn_q", (queries, self.hidden)),
            ("self_attn.k_proj", "attn_k", (keys, self.hidden)),
            ("self_attn.v_proj", "attn_v", (keys, self.hidden)),
            ("self_attn.o_proj", "attn_output", (self.hidden, queries)),
            ("post_attention_layernorm", "ffn_norm", (self.hidden,)),
            ("mlp.gate_proj", "ffn_gate", (self.ff_dim, self.hidden)),
            ("mlp.up_proj", "ffn_up", (self.ff_dim, self.hidden)),
            ("mlp.down_proj", "ffn_down", (self.hidden, self.ff_dim)),
        )
        for layer in range(self.n_layers):
            for ours, theirs, shape in in_layer:
                yield f"model.layers.{layer}.{ours}.weight", f"blk.{layer}.{theirs}.weight", shape


def _write_weights(
    writer: GGUFWriter, weights: dict[str, np.ndarray], shape: LlamaShape, dtype: GgufType
) -> None:
    import gguf

    of_matrices = gguf.GGMLQuantizationType[dtype.upper()]
    file_types = {"f32": "ALL_F32", "f16": "MOSTLY_F16", "q8_0": "MOSTLY_Q8_0"}
    writer.add_file_type(gguf.LlamaFileType[file_types[dtype]])
    if dtype == "q8_0":
        writer.add_quantization_version(gguf.GGML_QUANT_VERSION)
    for ours, theirs, size in shape.tensors():
        tensor = weights[ours]
        if ".q_proj." in ours:
            tensor = interleave_halves(tensor, shape.n_heads)
        elif ".k_proj." in ours:
            tensor = interleave_halves(tensor, shape.n_kv_heads)
        kind = of_matrices if len(size) == 2 else gguf.GGMLQuantizationType.F32
        try:
            packed = gguf.quants.quantize(np.ascontiguousarray(tensor), kind)
        except gguf.quants.QuantError as exc:
            raise BundleError(f"{ours}: {size} cannot be written as {dtype} ({exc}); take f16") from exc
        if kind != gguf.GGMLQuantizationType.Q8_0 and not np.isfinite(packed).all():
            raise BundleError(f"{ours}: not finite as {dtype}; take another checkpoint, or f32")
        writer.add_tensor(theirs, packed, raw_dtype=kind)


def interleave_halves(matrix: np.ndarray, n_heads: int) -> np.ndarray:
    """Rows (n_heads * head_dim, d) from "first half, second half" to "pair by pair" within each head.

    Rotary embedding turns row pairs (i, i + head_dim/2) in transformers, (2i, 2i + 1) in llama.cpp
    (RoFormer, Su et al. 2021, equation 34, is the second).
    """
    by_half = matrix.reshape(n_heads, 2, -1, matrix.shape[1])  # (heads, half, pair, d)
    return by_half.swapaxes(1, 2).reshape(matrix.shape)


def join_halves(matrix: np.ndarray, n_heads: int) -> np.ndarray:
    """What `interleave_halves` was given: rows (n_heads * head_dim, d) back to halves."""
    by_pair = matrix.reshape(n_heads, -1, 2, matrix.shape[1])  # (heads, pair, half, d)
    return by_pair.swapaxes(1, 2).reshape(matrix.shape)


def _read_weights(path: Path, shape: LlamaShape) -> dict[str, np.ndarray]:
    """Every tensor of ``shape`` as float32. Raises BundleError on one missing, left over or misshapen."""
    from safetensors import SafetensorError, deserialize

    try:
        stored: dict[str, dict[str, Any]] = dict(deserialize(_read(path)))  # type: ignore[no-untyped-call]
    except SafetensorError as exc:
        raise BundleError(f"{path}: damaged ({exc}); copy it again") from exc
    if shape.tied:
        stored.pop("lm_head.weight", None)  # the same numbers as the embeddings
    wanted = {ours: size for ours, _, size in shape.tensors()}
    if stored.keys() != wanted.keys():
        odd = sorted(stored.keys() ^ wanted.keys())
        fault = "missing" if odd[0] in wanted else "not part of a Llama model of config.json's size"
        raise BundleError(f"{path}: {odd[0]} is {fault} ({len(odd)} such tensors)")
    weights = {}
    for name, size in wanted.items():
        if tuple(stored[name]["shape"]) != size:
            found = tuple(stored[name]["shape"])
            raise BundleError(f"{path}: {name} has shape {found}, config.json says {size}")
        weights[name] = _as_float32(path, name, stored[name]).reshape(size)
    return weights


def _as_float32(path: Path, name: str, tensor: dict[str, Any]) -> np.ndarray:
    if tensor["dtype"] == "BF16":  # numpy has no bfloat16: it is the upper half of a float32
        return (np.frombuffer(tensor["data"], dtype="<u2").astype(np.uint32) << 16).view(np.float32)
    dtypes = {"F32": "<f4", "F16": "<f2"}
    if tensor["dtype"] not in dtypes:
        raise BundleError(f"{path}: {name} is {tensor['dtype']}; save the weights as bf16, f16 or f32")
    return np.frombuffer(tensor["data"], dtype=dtypes[tensor["dtype"]]).astype(np.float32)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as exc:
        needed = ", ".join(PARTS)
        raise BundleError(f"{path}: cannot be read ({exc.strerror}); a narrator needs {needed}") from exc


def _read_json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(_read(path))
    except ValueError as exc:
        raise BundleError(f"{path}: not JSON ({exc}); copy it again") from exc
    if not isinstance(content, dict):
        raise BundleError(f"{path}: not a JSON object; copy it again")
    return content
