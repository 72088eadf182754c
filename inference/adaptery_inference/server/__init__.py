"""The engine over HTTP: the OpenAI and vLLM-LoRA API, on loopback, with a token."""
