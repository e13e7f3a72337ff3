"""The special tokens, which stand for no text; their ids are their places, the same in every tokenizer."""

SPECIAL_TOKENS = ("<|endoftext|>", "<|user|>", "<|assistant|>", "<|end|>", "<|system|>")

END_OF_TEXT, USER, ASSISTANT, END_OF_TURN, SYSTEM = range(len(SPECIAL_TOKENS))
"""`<|endoftext|>` stands before every document and conversation: what follows it knows nothing before it."""
