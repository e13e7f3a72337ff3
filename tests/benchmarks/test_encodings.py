import json
from pathlib import Path

from benchmarks import encodings, tables

TEXTS = {
    "utf-8": "Größe und Länge müssen übereinstimmen. ",
    "windows-1252-german": "Größe und Länge müssen übereinstimmen, sonst schlägt die Prüfung fehl. ",
    "koi8-r-russian": "Модель сжимает последовательность в состояние фиксированного размера. ",
    "gb2312": "今天天气很好，我们去公园散步，然后回家吃饭。",  # noqa: RUF001
    "maccyrillic": "Модель сжимает последовательность в состояние фиксированного размера. ",
    "no-encoding": "is left out",
}


def test_all_programs_are_held_against_the_true_texts(tmp_path: Path) -> None:
    for name, text in TEXTS.items():
        (tmp_path / "files" / name).mkdir(parents=True)
        encoding = encodings._encoding_of(name) or "ascii"
        (tmp_path / "files" / name / "text.txt").write_bytes((text * 10).encode(encoding))
    encodings.main(["--quick", "--files", str(tmp_path / "files"), "--out", str(tmp_path)])
    figures = json.loads((tmp_path / "encodings.json").read_text())
    assert [row["program"] for row in figures["rows"]] == list(encodings.PROGRAMS)
    assert figures["rows"][0]["case"] == "5 files"
    assert figures["rows"][0]["figure"] == 100
    assert figures["title"] in tables.render(tmp_path)
