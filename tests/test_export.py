"""Grade files, read back as the systems that import them read them."""

import csv
import io

import pytest

from grader.__main__ import main
from grader.classroom import Classroom
from grader.exchange.canvas import CANVAS, to_canvas
from grader.exchange.export import Exported, Grade, grades, to_csv
from grader.exchange.moodle import to_moodle
from grader.exchange.roster import read_roster
from grader.problem import Problem

ONE, TWO = "01_number_formats", "02_rounding"
FOUND = {
    "=cmd|' /C calc'!A0": {ONE: Grade(3, 26, False)},
    "Ada Lovelace": {ONE: Grade(17.5, 26, False), TWO: Grade(20, 20, False)},
    "lovelaceada_1001": {ONE: Grade(1 / 3, 26, True)},
}
GRADEBOOK = (
    "\ufeffStudent,ID,SIS User ID,SIS Login ID,Section,"
    f"{ONE} (77),Essay (78),Current Score\n"
    ",,,,,Manual Posting,,\n"
    '    Points Possible,,,,,26,10,"(read only)"\n'
    '"Lovelace, Ada",1001,s-9,ada@x.org,"Group ""A"", 1",5,9,50\n'
    '"Hopper, Grace",1002,s-8,grace@x.org,B,4,,40\n'
    '"=HYPERLINK(1)",1003,s-7,eve@x.org,B,,,\n'
)


def rows_of(exported: Exported, encoding: str = "utf-8") -> list[list[str]]:
    return list(csv.reader(io.StringIO(exported.content.decode(encoding), newline="")))


def roster_of(tmp_path, text: str):
    path = tmp_path / "roster.csv"
    path.write_text(text, encoding="utf-8")
    return read_roster(path)


def assert_no_formula(exported: Exported) -> None:
    for row in rows_of(exported, "utf-8-sig"):
        for cell in row:
            assert not cell.startswith(("=", "+", "-", "@", "\t", "\r", "\n")), cell


def test_csv_for_spreadsheets():
    exported = to_csv(FOUND)
    header, *rows = rows_of(exported, "utf-8-sig")
    assert exported.content.startswith(b"\xef\xbb\xbf") and b"\r\n" in exported.content
    assert header == ["student", "unit", "score", "maximum", "to be marked by hand"]
    assert rows[0][0] == "'=cmd|' /C calc'!A0"
    assert rows[1] == ["Ada Lovelace", ONE, "17.5", "26", "no"]
    assert rows[3][2:] == ["0.33", "26", "yes"]
    assert exported.notes == (
        "1 of the scores wait for answers to be marked by hand: make formgrader",
    )
    assert_no_formula(exported)


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r", "\n"])
def test_every_beginning_of_a_formula_is_defused(start):
    found = {f"{start}1+1": {ONE: Grade(1, 2, False)}}
    assert_no_formula(to_csv(found))
    for exported in (to_canvas(found), to_moodle(found)):
        assert_no_formula(exported)
        assert len(exported.left_out) == 1 and len(rows_of(exported)) <= 2


def test_canvas_without_a_roster():
    exported = to_canvas({k: v for k, v in FOUND.items() if not k.startswith("=")})
    header, points, ada, other = rows_of(exported)
    assert not exported.content.startswith(b"\xef\xbb\xbf")
    assert header == [*CANVAS, ONE, TWO]
    assert points == ["    Points Possible", "", "", "", "", "26", "20"]
    assert ada == ["Ada Lovelace", "", "", "Ada Lovelace", "", "17.5", "20"]
    assert other == ["lovelaceada", "1001", "", "lovelaceada_1001", "", "0.33", ""]


def test_canvas_keeps_its_own_identifiers_columns_and_grades(tmp_path):
    roster = roster_of(tmp_path, GRADEBOOK)
    found = {
        "lovelaceada_1001": {ONE: Grade(17.5, 26, False)},
        "grace@x.org": {TWO: Grade(2, 20, False)},
        "1003": {ONE: Grade(1, 26, False)},
        "nobody": {ONE: Grade(1, 26, False)},
    }
    exported = to_canvas(found, roster)
    header, points, ada, grace, eve = rows_of(exported)
    assert header == [*CANVAS, f"{ONE} (77)", TWO]
    assert points[0] == "    Points Possible" and points[5:] == ["26", "20"]
    assert ada == ["Lovelace, Ada", "1001", "s-9", "ada@x.org", 'Group "A", 1', "17.5", ""]
    assert grace[1] == "1002" and grace[5:] == ["4", "2"]  # 4 is what Canvas had
    assert eve[0] == "'=HYPERLINK(1)" and eve[1] == "1003"
    assert exported.left_out == ("'nobody' is nobody, or more than one, in the roster",)
    assert_no_formula(exported)


def test_two_of_our_students_who_are_one_in_the_roster(tmp_path):
    roster = roster_of(tmp_path, GRADEBOOK)
    exported = to_canvas({"Ada Lovelace": FOUND["Ada Lovelace"], "s-9": {}}, roster)
    assert exported.left_out == ("'s-9' is 'Ada Lovelace' in the roster, who has a grade",)
    assert len(rows_of(exported)) == 3


def test_a_roster_of_names_that_two_share_finds_neither(tmp_path):
    text = "First name,Last name,ID number\nKim,Lee,1\nLee,Kim,2\nJosé,Núñez,3\n"
    roster = roster_of(tmp_path, text)
    assert roster.find("Kim Lee") is None and roster.find("2")["Last name"] == "Kim"
    assert roster.find("Jose\u0301 Nu\u0301n\u0303ez")["ID number"] == "3"


def test_moodle(tmp_path):
    found = {"Ada Lovelace": FOUND["Ada Lovelace"], "grace": {TWO: Grade(2, 20, False)}}
    assert rows_of(to_moodle(found))[0] == ["Username", ONE, TWO]
    assert rows_of(to_moodle({"a@b.c": {ONE: Grade(1, 2, False)}}))[0][0] == "Email address"
    text = (
        "First name;Last name;Username;ID number;Email address\n"
        "Ada;Lovelace;ada;s-9;Ada@x.org\nGrace;Hopper;grace;;grace@x.org\n"
    )
    roster = roster_of(tmp_path, text)
    assert rows_of(to_moodle(found, roster)) == [
        ["Username", ONE, TWO],  # Grace has no ID number
        ["ada", "17.5", "20"],
        ["grace", "", "2"],
    ]
    by_mail = to_moodle(found, roster, "email")
    assert [row[0] for row in rows_of(by_mail)] == ["Email address", "Ada@x.org", "grace@x.org"]
    by_number = to_moodle(found, roster, "idnumber")
    assert by_number.left_out == ("'grace' has no ID number",)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"\xff\xfe\x00", "not UTF-8"),
        (b"colour,taste\nred,sweet\n", "no column that says who"),
        (b"", "no CSV file"),
    ],
)
def test_a_bad_roster_is_one_line(tmp_path, content, says):
    path = tmp_path / "r.csv"
    path.write_bytes(content)
    with pytest.raises(Problem, match=says):
        read_roster(path)
    with pytest.raises(Problem, match="there is no"):
        read_roster(tmp_path / "none.csv")


@pytest.fixture(scope="module")
def graded(tmp_path_factory, unit):
    """A gradebook with a student whose work is late."""
    classroom = Classroom(tmp_path_factory.mktemp("a class"))
    classroom.prepare(unit)
    with classroom.gradebook() as gradebook:
        for student in ("Ada Lovelace", "-o evil"):
            gradebook.add_student(student)
            gradebook.add_submission(unit.name, student)
            submission = gradebook.find_submission(unit.name, student)
            [notebook] = submission.notebooks
            notebook.late_submission_penalty = 1.0
            for grade in notebook.grades:
                grade.auto_score, grade.needs_manual_grade = grade.max_score_gradecell, False
        gradebook.db.commit()
    return classroom


def test_the_gradebook_s_scores_less_what_lateness_costs(graded, unit):
    grade = grades(graded, [unit])["Ada Lovelace"][unit.name]
    assert grade == Grade(25.0, 26.0, False)


def test_command_line(graded, tmp_path, capsys):
    where = ["--classroom", str(graded.root)]
    path = tmp_path / "grades.csv"
    assert main(["export", "--csv", str(path), *where]) == 0
    assert main(["export", "01", "--moodle", str(path), *where]) == 1
    captured = capsys.readouterr()
    assert "left out: '-o evil' has an id that a spreadsheet takes for a formula" in captured.err
    assert f"{path}: 1 students" in captured.out
    assert path.read_text().splitlines() == [f'"Username","{ONE}"', '"Ada Lovelace",25']
    assert main(["export", "--csv", str(path), "--classroom", str(tmp_path / "none")]) == 1
    assert main(["export", "--csv", str(tmp_path / "no" / "such"), *where]) == 1
    assert len(capsys.readouterr().err.splitlines()) == 2
    for folder in (str(tmp_path), "/", "."):
        assert main(["export", "--csv", folder, *where]) == 1
        assert capsys.readouterr().err.endswith("it is a folder, name a file in it\n")
