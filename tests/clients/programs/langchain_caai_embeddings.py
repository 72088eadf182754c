"""langchain-caai, the client of the platform that the paper describes: embeddings."""

from features import PLACE, feature, run, same
from langchain_caai.caai_emb_client import caai_emb_client

TEXTS = [f"Note {number}: a cough." for number in range(7)]


@feature("embeddings")
def embeddings() -> None:
    client = caai_emb_client(PLACE.token, PLACE.openai, model="", max_batch_size=3, num_workers=2)
    found = client.embed_documents(TEXTS)
    same(len(found), len(TEXTS))
    near = zip(client.embed_query(TEXTS[6]), found[6], strict=True)
    assert max(abs(one - other) for one, other in near) < 1e-4


run()
