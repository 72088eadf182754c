"""The embedder: one embedding model behind OpenAI's ``/v1/embeddings``, on loopback.

A process of its own beside the engine, which never imports sentence-transformers. What is in it::

    batching    which texts share a forward pass (pure)
    model       sentence-transformers, as far as it is needed
    embedder    the requests that are under way, batch by batch
    handlers    routes
    main        the ``serve-embedder`` command
    convert     the ``convert-embedder`` command
"""
