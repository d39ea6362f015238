"""A small random language model that is not ours: a Llama with a tokenizer that knows no pointers."""

from __future__ import annotations

from pathlib import Path

from crs.narrator import foreign
from tests.crs.narrator_folders import WORDS

CHAT = (
    "{{ bos_token }}{% for m in messages %}<|{{ m['role'] }}|>{{ m['content'] }}<eos>{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)
TEXTS = (
    WORDS,
    "Buys the [1] things of one room. They bought the [12] kettle and the [target] tent. ",
    *(foreign._PREFACE, foreign._RULE, *foreign._ASKED.values()),  # so that prompts are short
)


def write_llm(folder: Path, *, hidden: int = 128, chat: bool = False) -> Path:
    """A folder as downloaded models have it: weights in float32, config and tokenizer."""
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=1000,
        show_progress=False,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        special_tokens=["<bos>", "<eos>", "<|user|>", "<|assistant|>"],
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
    config = LlamaConfig(
        vocab_size=bpe.get_vocab_size(),
        hidden_size=hidden,
        intermediate_size=256,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        head_dim=64,
        max_position_embeddings=1024,
        tie_word_embeddings=False,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        initializer_range=0.15,  # wide enough that greedy text wanders and soft tokens matter
    )
    LlamaForCausalLM(config).save_pretrained(folder)
    return folder
