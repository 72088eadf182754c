"""Tensor code: attention over the paged cache, rotary embeddings, norms, LoRA. Needs torch."""
