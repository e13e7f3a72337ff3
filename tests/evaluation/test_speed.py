from bhasa.evaluation.config import SpeedConfig
from bhasa.evaluation.speed import decoding, stepping
from bhasa.inference.batch import BatchDecoder

CONFIG = SpeedConfig(prompt_tokens=10, new_tokens=4, repeats=2)


def test_speed_states_what_was_run(model):
    speed = decoding(model, CONFIG).metrics
    assert (speed["prompt_tokens"], speed["new_tokens"]) == (10, 4)
    assert speed["seconds_to_first_token"] > 0
    assert speed["tokens_per_second"] > 0
    assert speed["state_bytes"] == 4 * 2 * 32 * (3 + 4)  # float32, layers, d_inner, d_conv - 1 and d_state


def test_every_run_reads_the_prompt_and_writes_all_tokens(model, monkeypatch):
    lengths, steps = [], []
    hook = model.backbone.register_forward_pre_hook(
        lambda _, arguments: lengths.append(arguments[0].shape[1])
    )
    original = BatchDecoder._step_alone
    monkeypatch.setattr(
        BatchDecoder, "_step_alone", lambda self, slot: steps.append(1) or original(self, slot)
    )
    try:
        decoding(model, CONFIG)
    finally:
        hook.remove()
    assert lengths == [10, 10, 10]
    assert len(steps) == 3 * 3


def test_a_program_that_steps_reads_all_tokens_in_every_run():
    read = []
    assert stepping(read.append, 3, CONFIG).metrics["tokens_per_second"] > 0
    assert read == [[0, 1, 2, 0]] * 3
