"""bhasa: a folder of documents becomes a trained, tuned, measured and exported Mamba language model."""

__version__ = "0.1.0"
