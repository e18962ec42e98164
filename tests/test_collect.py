"""What a learning management system gives becomes submitted/STUDENT/UNIT/, the bad ones apart."""

import io
import json
import os
import stat
import struct
import unicodedata
import zipfile
from pathlib import Path

import pytest
from filelock import FileLock
from nbgrader.utils import parse_utc

from grader.__main__ import main
from grader.classroom import Classroom
from grader.engine import LOCK
from grader.exchange import archive, entries
from grader.exchange.collect import collect
from grader.exchange.whose import owner, safe_id
from grader.lateness import TIMESTAMP
from grader.problem import Problem
from grader.units import find_units

UNITS = find_units([])
ONE, TWO = "01_number_formats", "02_rounding"


def notebook(grade_id: str = "", text: str = "1 + 1") -> str:
    metadata = {"nbgrader": {"grade_id": grade_id}} if grade_id else {}
    cell = {"cell_type": "code", "source": [text], "metadata": metadata, "outputs": []}
    return json.dumps({"cells": [cell], "metadata": {}, "nbformat": 4, "nbformat_minor": 5})


def answers(unit: str) -> str:
    return json.dumps({"unit": unit, "answers": {}})


def zipped(contents: dict, date=(2026, 3, 4, 5, 6, 8)) -> bytes:
    """A zip of files; a value may be text, bytes, or a pair of content and date."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as made:
        for name, content in contents.items():
            content, when = content if isinstance(content, tuple) else (content, date)
            entry = zipfile.ZipInfo(name, when)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = (stat.S_IFREG | 0o644) << 16
            made.writestr(entry, content)
    return buffer.getvalue()


@pytest.fixture
def room(tmp_path: Path) -> Classroom:
    return Classroom(tmp_path / "a class")


def take(room: Classroom, contents: dict | bytes | Path, only: str = "") -> dict:
    """Collect a zip (or a folder); outcome and note for each student and unit, or bad file."""
    source = contents
    if not isinstance(contents, Path):
        source = room.root.parent / "download.zip"
        source.write_bytes(contents if isinstance(contents, bytes) else zipped(contents))
    unit = next((u for u in UNITS if u.name == only), None)
    found = list(collect(room, source, UNITS, unit))
    result = {(c.student, c.unit): (c.outcome, c.note) for c in found}
    assert len(result) == len(found)
    assert not list(room.root.glob(".collect-*"))
    return result


def submitted(room: Classroom) -> dict[str, set[str]]:
    return {
        str(folder.relative_to(room.submitted)): {p.name for p in folder.iterdir()}
        for folder in sorted(room.submitted.glob("*/*"))
    }


def read(room: Classroom, student: str, unit: str = ONE, name: str = "") -> str:
    return (room.submitted / student / unit / (name or f"{unit}.ipynb")).read_text()


def refusal(result: dict, student: str) -> str:
    outcome, note = result[student, ""]
    assert outcome == "refused"
    return note


def test_moodle_in_folders(room):
    result = take(
        room,
        {
            f"Ada Lovelace_123_assignsubmission_file_/{ONE}.ipynb": notebook(text="ada"),
            "Ada Lovelace_123_assignsubmission_file_/answers.json": answers(ONE),
            "Ada Lovelace_123_assignsubmission_onlinetext_/onlinetext.html": "<p>hello",
            f"José Núñez_124_assignsubmission_file/{ONE}.ipynb": notebook(),
        },
    )
    assert result["Ada Lovelace", ONE][0] == result["José Núñez", ONE][0] == "new"
    assert result["José Núñez", ONE][1] == "no answers.json: no question counts as answered"
    assert "ada" in read(room, "Ada Lovelace")
    assert read(room, "Ada Lovelace", name="answers.json") == answers(ONE)


def test_moodle_flat_and_blind(room):
    result = take(
        room,
        {
            f"Ada Lovelace_123_assignsubmission_file_{ONE}.ipynb": notebook(),
            "Ada Lovelace_123_assignsubmission_file_answers.json": answers(ONE),
            f"Participant_55_assignsubmission_file_{ONE}.ipynb": notebook(),
            f"Participant_56_assignsubmission_file_{ONE}.ipynb": notebook(),
        },
    )
    assert {student for student, _ in result} == {
        "Ada Lovelace",
        "Participant 55",
        "Participant 56",
    }
    assert "answers.json" in submitted(room)[f"Ada Lovelace/{ONE}"]


def test_two_students_of_one_name_are_reported_and_nobody_else_waits(room):
    folder = "_assignsubmission_file_"
    result = take(
        room,
        {
            f"Kim Lee_1{folder}/{ONE}.ipynb": notebook(),
            f"Kim Lee_2{folder}/{ONE}.ipynb": notebook(),
            f"Ada_3{folder}/{ONE}.ipynb": notebook(),
        },
    )
    assert "several students have this name (1, 2)" in refusal(result, "Kim Lee")
    assert list(submitted(room)) == [f"Ada/{ONE}"]


def test_canvas(room):
    result = take(
        room,
        {
            f"lovelaceada_LATE_1001_9001_{ONE}.ipynb": notebook(text="old"),
            f"lovelaceada_LATE_1001_9005_{ONE}-2.ipynb": notebook(text="newest"),
            f"lovelaceada_LATE_1001_9004_{ONE}-1.ipynb": notebook(text="newer"),
            "lovelaceada_LATE_1001_9002_answers-1.json": answers(ONE),
            f"müllerjörg_1002_9003_{ONE} (1).ipynb": notebook(),
            f"anon_x7Yz_9006_{ONE}.ipynb": notebook(),
        },
    )
    outcome, note = result["lovelaceada_1001", ONE]
    assert outcome == "new" and "of 3 notebooks" in note and "late, says Canvas" in note
    assert "newest" in read(room, "lovelaceada_1001")
    assert "answers.json" in submitted(room)[f"lovelaceada_1001/{ONE}"]
    assert result["müllerjörg_1002", ONE][0] == result["anon_x7Yz", ONE][0] == "new"


def test_a_plain_folder(room, tmp_path):
    folder = tmp_path / "handed in"
    for name, content in {
        "ada.ipynb": notebook("round-bits-answer"),  # Unit 2, by its cell
        f"bob/{ONE}.ipynb": notebook(),
        f"cleo/{ONE}/{ONE}.ipynb": notebook(),
        f"cleo/{ONE}/timestamp.txt": "2026-01-02 03:04:05 UTC\n",
        f"cleo/{TWO}/{TWO}.ipynb": notebook(),
        "dan/my solution.ipynb": notebook("decode-answer"),
        "eve/notes.ipynb": notebook(),
        f"{ONE}.ipynb": notebook(),
        "fay/report.pdf": "no notebook",
    }.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    known = next(iter(UNITS[2].exercises))
    (folder / "ada.ipynb").write_text(notebook(f"{known}-answer"))
    result = take(room, folder)
    assert UNITS[2].name == TWO
    assert {key for key, (outcome, _) in result.items() if outcome == "new"} == {
        ("ada", TWO),
        ("bob", ONE),
        ("cleo", ONE),
        ("cleo", TWO),
        ("dan", ONE),
    }
    assert read(room, "cleo", name=TIMESTAMP) == "2026-01-02 03:04:05 UTC\n"
    assert "of no unit" in refusal(result, "eve/notes.ipynb")
    assert "does not say whose" in refusal(result, f"{ONE}.ipynb")
    assert refusal(result, "fay") == "handed in no notebook"


def test_a_unit_may_be_named_for_all(room):
    contents = {
        "ada.ipynb": notebook(),
        f"bob/{TWO}.ipynb": notebook(),
        f"cleo/{ONE}.ipynb": notebook(),
    }
    result = take(room, contents, only=ONE)
    assert result["ada", ONE][0] == result["cleo", ONE][0] == "new"
    assert refusal(result, f"bob/{TWO}.ipynb") == f"is a notebook of {TWO}, not of {ONE}"


def test_students_zips_and_a_folder_around_everything(room):
    inner = zipped({f"work/{ONE}.ipynb": notebook(), "work/answers.json": answers(ONE)})
    result = take(
        room,
        {
            "class/ada.zip": inner,
            "class/bob/stuff.zip": inner,
            "class/__MACOSX/bob/._stuff.zip": b"junk",
            "class/cleo/deep.zip": zipped({"deeper.zip": inner}),
            "class/dan/broken.zip": inner[: len(inner) // 2],
        },
    )
    both = {f"{ONE}.ipynb", "answers.json", TIMESTAMP} - {TIMESTAMP}
    assert submitted(room) == {f"ada/{ONE}": both, f"bob/{ONE}": both}
    assert "zip in a zip in a zip" in refusal(result, "class/cleo/deep/deeper.zip")
    assert "no zip file" in refusal(result, "class/dan/broken.zip")


def test_two_units_and_their_answers_side_by_side(room):
    result = take(
        room,
        {
            f"a_1_2_{ONE}.ipynb": notebook(),
            f"a_1_3_{TWO}.ipynb": notebook(),
            "a_1_4_answers.json": answers(ONE),
            "a_1_5_answers-1.json": answers(TWO),
        },
    )
    assert result["a_1", ONE][0] == result["a_1", TWO][0] == "new"
    for unit in (ONE, TWO):
        assert json.loads(read(room, "a_1", unit, "answers.json"))["unit"] == unit


def test_the_zip_says_when_unless_it_was_stamped_by_the_download(room):
    day = {"ada": (2026, 3, 1, 10, 0, 2), "bob": (2026, 3, 2, 11, 30, 0)}
    take(room, {f"{who}/{ONE}.ipynb": (notebook(), when) for who, when in day.items()})
    stamp = parse_utc(read(room, "bob", name=TIMESTAMP).strip())
    local = parse_utc(read(room, "ada", name=TIMESTAMP).strip())
    assert (stamp - local).total_seconds() == 25 * 3600 + 30 * 60 - 2
    take(room, {f"{who}/{ONE}.ipynb": notebook(text="x") for who in ("cleo", "dan")})
    assert TIMESTAMP not in submitted(room)[f"cleo/{ONE}"]


def test_utc_in_a_zip_counts_before_local_time():
    entry = zipfile.ZipInfo("x", (2026, 3, 4, 5, 6, 8))
    entry.extra = struct.pack("<HHBL", 0x5455, 5, 1, 1_770_000_000)
    assert entries._time(entry).timestamp() == 1_770_000_000


def test_what_a_student_packed_is_no_witness_of_the_time(room):
    packed = zipped({f"{ONE}.ipynb": notebook(), TIMESTAMP: "2001-01-01 00:00:00 UTC"})
    moodle = "Ada_1_assignsubmission_file_"
    take(room, {"bob/work.zip": packed})
    take(room, {f"{moodle}/{ONE}.ipynb": notebook(), f"{moodle}/{TIMESTAMP}": "2001-01-01"})
    for student in ("bob", "Ada"):
        assert "2026-03-04" in read(room, student, name=TIMESTAMP)


def test_an_earlier_submission_is_kept_and_the_same_one_is_left_alone(room):
    first = {f"ada/{ONE}.ipynb": notebook(text="one"), "ada/answers.json": answers(ONE)}
    assert take(room, first)["ada", ONE] == ("new", "")
    before = (room.submitted / "ada" / ONE).stat().st_ino
    assert take(room, first)["ada", ONE] == ("unchanged", "")
    assert (room.submitted / "ada" / ONE).stat().st_ino == before
    outcome, note = take(room, {f"ada/{ONE}.ipynb": notebook(text="two")})["ada", ONE]
    assert (
        outcome == "replaced" and f"the earlier one is in submitted-before/ada/{ONE}/0001" in note
    )
    take(room, {f"ada/{ONE}.ipynb": notebook(text="three")})
    kept = room.root / "submitted-before" / "ada" / ONE
    assert "one" in (kept / "0001" / f"{ONE}.ipynb").read_text()
    assert (kept / "0001" / "answers.json").read_text() == answers(ONE)
    assert "two" in (kept / "0002" / f"{ONE}.ipynb").read_text()
    assert "three" in read(room, "ada") and "answers.json" not in submitted(room)[f"ada/{ONE}"]


def test_every_bad_one_is_named_and_the_good_one_is_taken(room):
    source = room.root.parent / "download.zip"
    source.write_bytes(
        zipped(
            {
                f"good/{ONE}.ipynb": notebook(),
                f"../../etc/{ONE}.ipynb": notebook(),
                f"/abs/{ONE}.ipynb": notebook(),
                f"C:\\win\\{ONE}.ipynb": notebook(),
                f"esc\x1b[2J/{ONE}.ipynb": notebook(),
                f"notjson/{ONE}.ipynb": "{",
                f"empty/{ONE}.ipynb": "",
                f"list/{ONE}.ipynb": "[1, 2]",
                f"deep/{ONE}.ipynb": "[" * 200_000,
                f"bomb/{ONE}.ipynb": b" " * (15 << 20),
                f"big/{ONE}.ipynb": os.urandom(1 << 20) * 21,
                f".../{ONE}.ipynb": notebook(),
            }
        )
    )
    with zipfile.ZipFile(source, "a") as made:
        link = zipfile.ZipInfo(f"link/{ONE}.ipynb")
        link.external_attr = (stat.S_IFLNK | 0o777) << 16
        made.writestr(link, "/etc/passwd")
        pipe = zipfile.ZipInfo(f"pipe/{ONE}.ipynb")
        pipe.external_attr = (stat.S_IFIFO | 0o777) << 16
        made.writestr(pipe, "")
    result = take(room, source)
    assert [key for key, (outcome, _) in result.items() if outcome != "refused"] == [("good", ONE)]
    says = {student: note for (student, _), (_, note) in result.items()}
    for name, reason in {
        f"../../etc/{ONE}.ipynb": "leads out of its folder",
        f"/abs/{ONE}.ipynb": "leads out of its folder",
        f"C:/win/{ONE}.ipynb": "leads out of its folder",
        f"esc?[2J/{ONE}.ipynb": "control characters",
        f"notjson/{ONE}.ipynb": "is not JSON (line 1)",
        f"empty/{ONE}.ipynb": "is empty",
        f"list/{ONE}.ipynb": "is no notebook",
        f"deep/{ONE}.ipynb": "is not JSON",
        f"bomb/{ONE}.ipynb": "as zip bombs do",
        f"big/{ONE}.ipynb": "is larger than 20 MB",
        f".../{ONE}.ipynb": "no name that can be",
        f"link/{ONE}.ipynb": "is a link",
        f"pipe/{ONE}.ipynb": "is no ordinary file",
    }.items():
        assert reason in says[name], name
    assert list(submitted(room)) == [f"good/{ONE}"]
    assert sorted(p.name for p in room.root.iterdir()) == [LOCK, "submitted"]


def test_links_and_pipes_in_a_folder(room, tmp_path):
    folder, secret = tmp_path / "in", tmp_path / "secret"
    (folder / "ada").mkdir(parents=True)
    secret.mkdir()
    (secret / f"{ONE}.ipynb").write_text(notebook())
    (folder / "ada" / f"{ONE}.ipynb").symlink_to(secret / f"{ONE}.ipynb")
    (folder / "bob").symlink_to(secret)
    (folder / "cleo").mkdir()
    os.mkfifo(folder / "cleo" / f"{ONE}.ipynb")
    result = take(room, folder)
    assert refusal(result, f"ada/{ONE}.ipynb") == refusal(result, "bob") == "is a link"
    assert refusal(result, f"cleo/{ONE}.ipynb") == "is no ordinary file"
    assert submitted(room) == {}


def test_many_small_bombs_do_not_add_up(room, monkeypatch):
    monkeypatch.setattr(entries.Budget.__init__, "__defaults__", (100_000,))
    result = take(room, {f"s{n}/{ONE}.ipynb": notebook(text="x" * 40_000) for n in range(4)})
    assert [note for outcome, note in result.values() if outcome == "refused"] == [
        "would unpack to too much in all: collect the class in parts"
    ] * 2


def test_a_zip_of_too_many_files_costs_its_student_only(room):
    many = zipped({f"{n}.txt": "" for n in range(archive.MAX_STUDENTS_ENTRIES + 1)})
    huge = zipped({f"{n:0200}.txt": "" for n in range(3000)})
    result = take(room, {"a.zip": many, "b.zip": huge, f"c/{ONE}.ipynb": notebook()})
    assert "1,001 files, more than 1,000" in refusal(result, "a.zip")
    assert "more than 1,000 files" in refusal(result, "b.zip")
    assert list(submitted(room)) == [f"c/{ONE}"]


def test_names(room):
    decomposed = unicodedata.normalize("NFD", "José")
    assert decomposed != "José"
    result = take(room, {f"{decomposed}/{ONE}.ipynb": notebook()})
    assert ("José", ONE) in result and os.listdir(room.submitted) == ["José"]
    result = take(room, {f"Ann,/{ONE}.ipynb": notebook(), f"Ann/{TWO}.ipynb": notebook()})
    assert "would share this folder: 'Ann', 'Ann,'" in refusal(result, "Ann")
    for name in ("..", ".hidden", "=1+2", "a/b", "x\u202egpj", "-o", "@home", "a" * 999):
        safe = safe_id(name) if name != ".." else "x"
        assert safe[0] not in ".-=@+" and not set(safe) & set("/[]*?\u202e\0") and len(safe) <= 100
    with pytest.raises(ValueError, match="no name"):
        safe_id("..")
    assert owner((f"{ONE}.ipynb",), [ONE]) is None


def test_names_that_a_program_wrote_without_saying_that_they_are_utf8(room):
    content = zipped({f"Zoe/{ONE}.ipynb": notebook()})
    result = take(room, content.replace(b"Zoe/", "Zö/".encode()))
    assert ("Zö", ONE) in result


def test_command_line(room, tmp_path, capsys):
    source = tmp_path / "d.zip"
    source.write_bytes(zipped({f"ada/{ONE}.ipynb": notebook(), f"bob/{ONE}.ipynb": "{"}))
    where = ["--classroom", str(room.root)]
    assert main(["collect", str(source), *where]) == 1
    out = capsys.readouterr().out
    assert f"bob/{ONE}.ipynb" in out and "is not JSON" in out and "new" in out
    source.write_bytes(zipped({f"ada/{ONE}.ipynb": notebook()}))
    assert main(["collect", str(source), "--unit", "01", *where]) == 0
    assert "unchanged" in capsys.readouterr().out
    assert main(["collect", str(tmp_path / "none.zip"), *where]) == 1
    (tmp_path / "x.zip").write_text("no zip")
    assert main(["collect", str(tmp_path / "x.zip"), *where]) == 1
    with FileLock(room.root / LOCK):
        assert main(["collect", str(source), *where]) == 1
    err = capsys.readouterr().err.splitlines()
    assert len(err) == 3 and "being graded" in err[2] and "no zip file" in err[1]


def test_a_folder_that_cannot_be_written_is_one_line(tmp_path):
    (tmp_path / "file").write_text("")
    source = tmp_path / "d.zip"
    source.write_bytes(zipped({f"ada/{ONE}.ipynb": notebook()}))
    with pytest.raises(Problem, match="cannot write into"):
        list(collect(Classroom(tmp_path / "file"), source, UNITS))
