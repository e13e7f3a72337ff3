from bhasa.evaluation.config import SpeedConfig
from bhasa.evaluation.speed import measure
from bhasa.inference.generate import Decoder


def test_speed_states_what_was_run(model):
    speed = measure(model, [0, 9, 8], SpeedConfig(prompt_tokens=10, new_tokens=4, repeats=2))
    assert (speed.prompt_tokens, speed.new_tokens) == (10, 4)
    assert speed.seconds_to_first_token > 0
    assert speed.tokens_per_second > 0
    assert speed.state_bytes == 4 * 2 * 32 * (3 + 4)  # float32, layers, d_inner, d_conv - 1 and d_state


def test_every_run_reads_the_prompt_and_writes_all_tokens(model, monkeypatch):
    lengths, steps = [], []
    hook = model.backbone.register_forward_pre_hook(
        lambda _, arguments: lengths.append(arguments[0].shape[1])
    )
    original = Decoder._step
    monkeypatch.setattr(Decoder, "_step", lambda self, token: steps.append(1) or original(self, token))
    try:
        measure(model, [0, 9, 8], SpeedConfig(prompt_tokens=10, new_tokens=4, repeats=2))
    finally:
        hook.remove()
    assert lengths == [10, 10, 10]
    assert len(steps) == 3 * 3
