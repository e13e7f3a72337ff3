"""The language model: configuration, mixers, blocks, and the whole."""
