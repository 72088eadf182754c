"""The models the engine can compute: the Llama family."""
