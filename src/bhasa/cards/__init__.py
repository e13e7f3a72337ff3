"""Pages and lines that describe models to people. No number of a model depends on a word in here, so no stage
is run again when one changes.
"""

from bhasa.cards.adapter import adapter_card
from bhasa.cards.layers import describe_layers
from bhasa.cards.model import Layout, model_card

__all__ = ["Layout", "adapter_card", "describe_layers", "model_card"]
