"""Whether a badge is genuine: a signed token, or a picture with one baked in."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from datetime import UTC, datetime
from xml.etree import ElementTree

from joserfc import jws
from joserfc.jwk import OKPKey

from grader.awards.credential import ALGORITHM, BAKED


@dataclass(frozen=True)
class Verdict:
    """Whether a credential holds, and one line that says so."""

    valid: bool
    text: str


class _Refused(Exception):
    """Why a credential does not hold."""


def verify(content: bytes, trusted: OKPKey, issuer: str = "") -> Verdict:
    """Judge a token or a baked SVG picture by a key that you trust.

    The key that the token itself carries only tells another issuer's badge from a damaged one.
    """
    try:
        claims = _opened(_token(content), trusted)
        _refuse_inconsistent(claims)
        if issuer and claims["iss"] != issuer:
            raise _Refused(f"wrong issuer: it names {claims['iss']}, not {issuer}")
        now = datetime.now(UTC).timestamp()
        if now < claims["nbf"]:
            raise _Refused(f"not valid yet: it begins on {claims['validFrom'][:10]}")
        if now >= claims.get("exp", float("inf")):
            raise _Refused(f"expired: it was valid until {claims['validUntil'][:10]}")
        return Verdict(True, f"valid: {_summary(claims)}")
    except _Refused as refusal:
        return Verdict(False, str(refusal))


def claims_of(token: str) -> dict:
    """What a token says, whoever signed it.

    Raises
    ------
    ValueError
        If it is no token.
    """
    _, payload, _ = token.split(".")
    return json.loads(_decoded(payload))


def _token(content: bytes) -> str:
    content = content.strip()
    if content.startswith(b"<"):
        return _baked_token(content)
    if not content.startswith(b"eyJ"):  # how every token begins: {" in base64
        raise _Refused("not a badge: neither a token (.jwt) nor a picture with one (.svg)")
    return content.decode(errors="replace")


def _baked_token(content: bytes) -> str:
    try:
        found = list(ElementTree.fromstring(content).iter(f"{{{BAKED}}}credential"))
    except ElementTree.ParseError as error:
        raise _Refused(f"not a badge: damaged as XML ({error})") from None
    except Exception:  # it may name any of Python's codecs as its encoding: each has its own errors
        raise _Refused("not a badge: in an encoding that no picture of a badge has") from None
    if len(found) != 1 or not found[0].get("verify"):
        raise _Refused("not a badge: the picture has no credential in it, or several")
    return found[0].get("verify")


def _opened(token: str, trusted: OKPKey) -> dict:
    """The claims of a token that the trusted key has signed."""
    try:
        header, payload, _ = (_decoded(part) for part in token.split("."))
        header, claims = json.loads(header), json.loads(payload)
        embedded = OKPKey.import_key(header["jwk"])
        jws.deserialize_compact(token, embedded, algorithms=[ALGORITHM])
    except Exception:  # each way to be damaged has its own
        raise _Refused("tampered: content and signature do not belong together") from None
    if embedded.thumbprint() != trusted.thumbprint():
        raise _Refused("wrong issuer: it is signed with another key than the one you trust")
    jws.deserialize_compact(token, trusted, algorithms=[ALGORITHM])
    return claims


def _decoded(part: str) -> bytes:
    """Strict base64url: one text for one content, so that no changed character goes unnoticed."""
    content = base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))
    if base64.urlsafe_b64encode(content).rstrip(b"=").decode() != part:
        raise ValueError(part)
    return content


def _refuse_inconsistent(claims: dict) -> None:
    """The checks of "Verify a Credential VC-JWT Signature"."""
    try:
        fits = (
            {"VerifiableCredential", "OpenBadgeCredential"} <= set(claims["type"])
            and claims["iss"] == claims["issuer"]["id"]
            and claims["jti"] == claims["id"]
            and claims["sub"] == claims["credentialSubject"]["id"]
            and claims["nbf"] == _timestamp(claims["validFrom"])
            and ("exp" in claims) == ("validUntil" in claims)
            and claims.get("exp") == _timestamp(claims.get("validUntil"))
        )
        _summary(claims)
    except (KeyError, TypeError, ValueError, IndexError, OverflowError):
        fits = False
    if not fits:
        raise _Refused("not a badge: signed by this issuer, but no Open Badges 3.0 credential")


def _summary(claims: dict) -> str:
    subject = claims["credentialSubject"]
    student = subject["identifier"][0]["identityHash"]
    achievement = subject["achievement"]
    until = f", valid until {claims['validUntil'][:10]}" if "validUntil" in claims else ""
    line = (
        f"{student} earned {achievement['humanCode']} ({achievement['name']}), "
        f"issued by {claims['issuer']['name']} on {claims['validFrom'][:10]}{until}"
    )
    return "".join(character if character.isprintable() else "�" for character in line)


def _timestamp(text: str | None) -> float | None:
    return None if text is None else datetime.fromisoformat(text).timestamp()
