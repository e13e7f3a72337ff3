"""What a trained model is worth: likelihood of unseen text, speed, and samples to read."""
