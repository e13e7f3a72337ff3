from bhasa.documents import wire
from bhasa.documents.records import EXCERPT_CHARACTERS, Outcome, Refused
from bhasa.documents.wire import Result


def test_an_excerpt_is_carried_and_cut_whoever_sent_it() -> None:
    refused = Refused(Outcome.FILTERED, "odd", "line 3", "how it begins")
    (message,) = wire.unpack(wire.pack_result(Result(refused, 7, "text/plain")))
    assert vars(wire.unpack_result(message).found) == vars(refused)
    message.values["refused"][-1] = "x" * 10_000
    found = wire.unpack_result(message).found
    assert isinstance(found, Refused)
    assert found.excerpt == "x" * EXCERPT_CHARACTERS
