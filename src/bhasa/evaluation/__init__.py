"""How good a trained model is: measures that each give figures, and the one report that holds them."""
