"""The narrator's tokenizer.json as the tokenizer metadata of a GGUF file.

The app never tokenises through llama.cpp; this is what lets the file load and tokenise elsewhere.
One thing GGUF cannot say: that a pointer swallows the space before it. Elsewhere, leave that space out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from knowledge.errors import BundleError

if TYPE_CHECKING:
    from gguf import GGUFWriter, TokenType

# The only way of splitting a text that both libraries do alike for a tokenizer of our own.
_SPLITTER = {"type": "ByteLevel", "add_prefix_space": False, "use_regex": True}


@dataclass(frozen=True, slots=True)
class GgufTokenizer:
    """Tokens in id order, and the merges that make them."""

    tokens: list[str]
    types: list[TokenType]
    merges: list[str]
    bos_id: int
    eos_id: int

    @classmethod
    def parse(cls, content: Mapping[str, Any], path: Path, n_vocab: int) -> GgufTokenizer:
        """From the ``content`` of a tokenizer.json: a byte-level BPE of at most ``n_vocab`` tokens.

        Raises BundleError, naming ``path``, when it is incomplete, of another kind, or too large.
        """
        from gguf import TokenType

        try:
            kind = content["model"]["type"]
            ids: dict[str, int] = dict(content["model"]["vocab"])
            added = {token["content"]: token for token in content["added_tokens"]}
            ids |= {text: token["id"] for text, token in added.items()}
            # older files hold a merge as one string, newer ones as a pair
            merges = [m if isinstance(m, str) else " ".join(m) for m in content["model"]["merges"]]
            splitter = dict(content["pre_tokenizer"])
        except (KeyError, TypeError, ValueError) as exc:
            raise BundleError(f"{path}: not a tokenizer.json ({exc!r}); copy it again") from exc
        if kind != "BPE" or not _SPLITTER.items() <= splitter.items():
            raise BundleError(f"{path}: not a byte-level BPE without prefix space; take the narrator's own")
        if len(set(ids.values())) != len(ids) or not all(0 <= i < n_vocab for i in ids.values()):
            raise BundleError(f"{path}: its {len(ids)} tokens do not fit the {n_vocab} ids of config.json")
        if "<bos>" not in ids or "<eos>" not in ids:
            raise BundleError(f"{path}: <bos> and <eos> must be among its tokens")

        tokens = [f"[PAD{i}]" for i in range(n_vocab)]
        types = [TokenType.UNUSED] * n_vocab
        for text, token_id in ids.items():
            tokens[token_id] = text
            types[token_id] = TokenType.NORMAL
            if text in added:
                types[token_id] = TokenType.CONTROL if added[text]["special"] else TokenType.USER_DEFINED
        return cls(tokens, types, merges, ids["<bos>"], ids["<eos>"])

    def write(self, writer: GGUFWriter) -> None:
        """Put the tokenizer into the file's metadata; no token is added to a text by itself."""
        writer.add_tokenizer_model("gpt2")
        writer.add_tokenizer_pre("gpt-2")  # by this name llama.cpp knows how ByteLevel splits a text
        writer.add_token_list(self.tokens)
        writer.add_token_types(self.types)
        writer.add_token_merges(self.merges)
        writer.add_bos_token_id(self.bos_id)
        writer.add_eos_token_id(self.eos_id)
        writer.add_add_bos_token(False)
        writer.add_add_eos_token(False)
