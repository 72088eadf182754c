"""From records to what a model is trained on, the same for worker, engine and pre-flight.

For: chat templates, tokenizers, masks, the cut-off and the order of batches. Not for training.
It needs Jinja and `tokenizers`, which come with the extras hub, inference and training.
"""

from adaptery.examples.batch_order import epoch_order, order_by_length, padding_share
from adaptery.examples.building import (
    add_record,
    build_examples,
    build_texts,
    conversation_tokens,
    plain_message,
)
from adaptery.examples.chat_templates import OWN_TEMPLATE, TEMPLATE_NAMES
from adaptery.examples.chat_tokenizer import ChatTokenizer
from adaptery.examples.example_set import Example, ExampleSet, Target
from adaptery.examples.judged import (
    Judged,
    Pair,
    Prompt,
    build_judged,
    build_pairs,
    build_prompts,
)
from adaptery.examples.packing import pack, row_lengths
from adaptery.examples.preparing import Prepared, held_out_inputs, prepare

__all__ = [
    "OWN_TEMPLATE",
    "TEMPLATE_NAMES",
    "ChatTokenizer",
    "Example",
    "ExampleSet",
    "Judged",
    "Pair",
    "Prepared",
    "Prompt",
    "Target",
    "add_record",
    "build_examples",
    "build_judged",
    "build_pairs",
    "build_prompts",
    "build_texts",
    "conversation_tokens",
    "epoch_order",
    "held_out_inputs",
    "order_by_length",
    "pack",
    "padding_share",
    "plain_message",
    "prepare",
    "row_lengths",
]
