from bhasa.measure.table import Row, markdown
from bhasa.measure.timing import Timing


def test_columns_that_no_row_fills_are_left_out():
    rows = [
        Row("long", "ours", Timing.of([0.5]), limit_seconds=0.25, figure=2.0, unit="tokens/s"),
        Row("long", "theirs", note="not installed"),
    ]
    head, _, ours, theirs = markdown([row.as_mapping() for row in rows]).splitlines()
    assert head == "| case | program | % of limit | figure | median | IQR | rounds | note |"
    assert ours == "| long | ours | 50.0 | 2 tokens/s | 500 ms | 0.0% | 1 |  |"
    assert theirs == "| long | theirs |  |  |  |  |  | not installed |"
