"""From a trained model to text: prefill, one recurrent step per token, sampling, streaming, chat."""
