"""Text to tokens, tokens to disk, and from there to batches. No torch here."""
