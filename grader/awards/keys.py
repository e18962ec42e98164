"""The instructor's Ed25519 key: one half signs badges, the other tells genuine ones."""

from __future__ import annotations

import json
import os
from pathlib import Path

from joserfc.jwk import OKPKey

from grader.problem import Problem


def new_key(path: Path) -> Path:
    """Write a new private Ed25519 key that only its owner can read; return the public key's file.

    Raises
    ------
    Problem
        If either file exists (nothing is ever overwritten) or cannot be written.
    """
    public = path.with_name(path.name + ".pub")
    for there in (path, public):
        if there.exists():
            raise Problem(f"{there} exists, and a key is never overwritten: choose another name")
    key = OKPKey.generate_key("Ed25519")
    try:
        for file, private, mode in ((path, True, 0o600), (public, False, 0o644)):
            descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
            with open(descriptor, "w", encoding="utf-8") as stream:
                stream.write(as_text(key, private))
    except OSError as error:
        raise Problem(f"cannot write {error.filename}: {error.strerror}") from None
    return public


def load_key(path: Path, private: bool = False) -> OKPKey:
    """Read an Ed25519 key, JWK or PEM.

    Raises
    ------
    Problem
        If the file cannot be read, or holds no such key.
    """
    try:
        text = path.read_text(encoding="utf-8")
        key = OKPKey.import_key(json.loads(text) if text.lstrip().startswith("{") else text)
    except OSError as error:
        raise Problem(f"cannot read {path}: {error.strerror}") from None
    except Exception:
        raise Problem(f"{path} holds no Ed25519 key (JWK or PEM)") from None
    if key.curve_name != "Ed25519":
        raise Problem(f"{path} holds a key for {key.curve_name}: it has to be Ed25519")
    if private and not key.is_private:
        raise Problem(f"{path} is a public key: give the private one, without .pub")
    return key


def as_text(key: OKPKey, private: bool = False) -> str:
    """A key as JSON (RFC 8037)."""
    return json.dumps(key.as_dict(private=private), indent=1, sort_keys=True) + "\n"
