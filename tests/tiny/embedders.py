"""Builds tiny embedding models: a 2-layer BERT with mean pooling, as sentence-transformers saves
them."""

from pathlib import Path

#: What the tiny embedder reads of a text.
EMBEDDER_TOKENS = 16
EMBEDDER_DIMENSIONS = 24

_SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")


def build_tiny_embedder(folder: Path, *, seed: int = 0, dense: int | None = None) -> Path:
    """Write an fp32 embedding model with a letter-by-letter tokenizer into ``folder``; return it.

    With ``dense`` a last layer makes vectors of that length.
    """
    import torch
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import (
        Dense,
        Normalize,
        Pooling,
        Transformer,
    )
    from transformers import BertConfig, BertModel

    parts = folder.with_name(f"{folder.name}-parts")
    tokenizer = _build_tokenizer()
    config = BertConfig(
        vocab_size=len(tokenizer),
        hidden_size=EMBEDDER_DIMENSIONS,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=48,
        max_position_embeddings=64,
        initializer_range=0.3,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        BertModel(config).save_pretrained(parts)
        tokenizer.save_pretrained(parts)
        transformer = Transformer(str(parts), max_seq_length=EMBEDDER_TOKENS)
        modules = [transformer, Pooling(EMBEDDER_DIMENSIONS, pooling_mode="mean")]
        if dense is not None:
            modules.append(Dense(EMBEDDER_DIMENSIONS, dense))
        SentenceTransformer(modules=[*modules, Normalize()], device="cpu").save(str(folder))
    return folder


def _build_tokenizer():
    from tokenizers import Tokenizer, normalizers, pre_tokenizers, processors
    from tokenizers.models import WordPiece
    from transformers import BertTokenizerFast

    letters = "abcdefghijklmnopqrstuvwxyz0123456789"
    tokens = [*_SPECIAL, *letters, *(f"##{letter}" for letter in letters)]
    vocabulary = {token: number for number, token in enumerate(tokens)}
    tokenizer = Tokenizer(WordPiece(vocab=vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.BertProcessing(
        ("[SEP]", vocabulary["[SEP]"]), ("[CLS]", vocabulary["[CLS]"])
    )
    return BertTokenizerFast(
        tokenizer_object=tokenizer,
        model_max_length=64,
        pad_token="[PAD]",
        unk_token="[UNK]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        mask_token="[MASK]",
    )
