"""The texts of chunks say what the chunks say."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adaptery.answer_parts import TokenLogprob, ToolPiece
from adaptery.answer_shapes import AnswerHead, AnswerLimits, ChatShape, Delta, TextShape, Usage
from adaptery_hub.gateway.chunk_texts import ChunkTexts

HEAD = AnswerHead("chatcmpl-rq_1", 1_700_000_000, "@démo/notes@1")
LIMITS = AnswerLimits(choices=3, top_logprobs=1, tools=True)

deltas = st.builds(
    Delta,
    st.integers(0, 2),
    st.text(max_size=6),
    st.sampled_from([None, None, None, "stop"]),
    st.sampled_from([(), (), (ToolPiece(0, None, "look_up", "{"),)]),
    st.sampled_from([(), (), (TokenLogprob("a", -0.5),)]),
)


@pytest.mark.parametrize("shape", [ChatShape, TextShape])
@given(st.lists(st.lists(deltas, min_size=1, max_size=2), max_size=12), st.booleans())
def test_each_text_is_the_chunk(
    shape: type[ChatShape] | type[TextShape], chunks: list[list[Delta]], wants_usage: bool
) -> None:
    texts = ChunkTexts(HEAD, shape(LIMITS), wants_usage=wants_usage)
    plain = shape(LIMITS)
    for some in chunks:
        more = {"usage": None} if wants_usage else {}
        wanted = {**plain.chunk(HEAD, some), **more}
        assert texts.text(some) == json.dumps(wanted, ensure_ascii=False)
    assert json.loads(texts.usage(Usage(1, 2)))["usage"]["total_tokens"] == 3
