"""The forward pass of the Llama family, over a flat batch and a paged cache.

Linears that read the same input are fused (q, k, v; gate, up): at one token per row their cost is
reading the weights, and fewer products leave less overhead for LoRA to add to.

Shapes: ``T`` tokens in the flat batch, ``D`` hidden, ``H`` query heads, ``K`` KV heads, ``C`` head
dim, ``V`` vocabulary.

Invariant: one call computes all rows, whatever adapters they use.

Source: transformers ``models/llama/modeling_llama.py`` 5.23; logits are equal in fp32.
"""

import torch
from torch.nn import functional

from adaptery_inference.layers.cache import KVCache
from adaptery_inference.layers.norm import rms_norm
from adaptery_inference.layers.rotary import RotaryEmbedding, rotate
from adaptery_inference.models.batch import ForwardBatch
from adaptery_inference.models.spec import ModelSpec
from adaptery_inference.models.weights import LayerWeights, Linear, ModelWeights


class LlamaModel:
    """A base model of the Llama family."""

    def __init__(self, spec: ModelSpec, weights: ModelWeights, context_tokens: int) -> None:
        self._spec = spec
        self._weights = weights
        device = weights.embedding.device
        self._rotary = RotaryEmbedding(spec.rope, spec.head_dim, context_tokens, device)

    @torch.inference_mode()
    def forward(self, batch: ForwardBatch, cache: KVCache) -> torch.Tensor:
        """Write keys and values of all tokens; answer the logits [sampled, V] in fp32."""
        epsilon = self._spec.norm_epsilon
        h = functional.embedding(batch.tokens, self._weights.embedding)  # [T, D]
        angles = self._rotary.at(batch.positions, like=h)
        for index, layer in enumerate(self._weights.layers):
            x = rms_norm(h, layer.input_norm, epsilon)
            h = h + self._attention(index, layer, x, angles, batch, cache)
            x = rms_norm(h, layer.post_norm, epsilon)
            h = h + self._mlp(index, layer, x, batch)
        h = rms_norm(h[batch.sampled], self._weights.norm, epsilon)  # [sampled, D]
        return functional.linear(h, self._weights.head).float()

    def _attention(
        self,
        index: int,
        layer: LayerWeights,
        x: torch.Tensor,
        angles: tuple[torch.Tensor, torch.Tensor],
        batch: ForwardBatch,
        cache: KVCache,
    ) -> torch.Tensor:
        heads, kv_heads = self._spec.heads, self._spec.kv_heads
        qkv = _linear(index, "qkv", layer.qkv, x, batch)  # [T, (H + 2 K) * C]
        qkv = qkv.unflatten(-1, (-1, self._spec.head_dim))  # [T, H + 2 K, C]
        qk, v = qkv.split((heads + kv_heads, kv_heads), dim=1)
        if layer.q_norm is not None and layer.k_norm is not None:
            q, k = qk.split((heads, kv_heads), dim=1)
            q = rms_norm(q, layer.q_norm, self._spec.norm_epsilon)
            k = rms_norm(k, layer.k_norm, self._spec.norm_epsilon)
            qk = torch.cat((q, k), dim=1)
        q, k = rotate(qk, *angles).split((heads, kv_heads), dim=1)
        cache.write(index, batch.slots, k, v)
        attended = [
            cache.attend_prefill(
                index,
                rows,
                q[rows.start : rows.end],
                k[rows.start : rows.end],
                v[rows.start : rows.end],
            )
            for rows in batch.prefills
        ]
        if batch.decode is not None:
            attended.append(cache.attend_decode(index, batch.decode, q[batch.decode.start :]))
        joined = torch.cat(attended) if len(attended) > 1 else attended[0]
        joined = joined.flatten(1)  # [T, H * C]
        return _linear(index, "o", layer.o, joined, batch)

    def _mlp(
        self, index: int, layer: LayerWeights, x: torch.Tensor, batch: ForwardBatch
    ) -> torch.Tensor:
        gate, up = _linear(index, "gate_up", layer.gate_up, x, batch).chunk(2, dim=-1)
        return _linear(index, "down", layer.down, functional.silu(gate) * up, batch)


def _linear(
    index: int, site: str, linear: Linear, x: torch.Tensor, batch: ForwardBatch
) -> torch.Tensor:
    """A base linear and, row by row, the update of the row's adapter."""
    out = functional.linear(x, linear.weight, linear.bias)
    if batch.lora is not None:
        batch.lora.add(index, site, x, out)
    return out
