"""The multi-LoRA engine: one base model, many adapters, one forward pass for all rows.

The pure core (``adaptery_inference.engine``) needs no torch; importing this package loads none.
Commands: ``python -m adaptery_inference serve`` and ``python -m adaptery_inference convert``.
"""
