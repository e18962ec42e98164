"""Open Badges 3.0 credentials: what is said of an award, signed, and baked into a picture.

The words in quotation marks are those of the specification (1EdTech, Open Badges 3.0, final
release, document version 1.2): "JSON Web Token Proof Format" and "Baked Badge".
"""

from __future__ import annotations

import json
import re
import uuid
import warnings
from dataclasses import dataclass, field
from datetime import UTC, datetime

from joserfc import jws
from joserfc.errors import SecurityWarning
from joserfc.jwk import OKPKey

ALGORITHM = "EdDSA"  # RFC 9864 now says "Ed25519"; wallets still expect the older name
CONTEXTS = (
    "https://www.w3.org/ns/credentials/v2",
    "https://purl.imsglobal.org/spec/ob/v3p0/context-3.0.3.json",
)
SCHEMA = (
    "https://purl.imsglobal.org/spec/ob/v3p0/schema/json/ob_v3p0_achievementcredential_schema.json"
)
BAKED = "https://purl.imsglobal.org/ob/v3p0"  # the XML namespace of a baked badge
COURSE = (
    "A unit of Half the Bits, an open course on floating-point formats and mixed-precision "
    "training in PyTorch."
)

warnings.filterwarnings("ignore", "EdDSA is deprecated", SecurityWarning)


@dataclass(frozen=True)
class Award:
    """What one student earned. ``student`` is the id of the gradebook, and all we tell of them."""

    student: str
    unit: str
    title: str
    criteria: str
    start: datetime
    end: datetime | None = None
    id: str = field(default_factory=lambda: uuid.uuid4().urn)


def credential(award: Award, key: OKPKey, name: str, url: str = "") -> dict:
    """The ``OpenBadgeCredential`` of an award, with the claims that go into its token.

    Without a ``url`` the issuer is identified by the thumbprint of their key (RFC 9278).
    """
    issuer = {"id": url or key.thumbprint_uri(), "type": ["Profile"], "name": name}
    if url:
        issuer["url"] = url
    start = award.start.astimezone(UTC).replace(microsecond=0)
    holder = uuid.uuid5(uuid.UUID(award.id), "holder").urn  # an id that says nothing about them
    content = {
        "@context": list(CONTEXTS),
        "id": award.id,
        "type": ["VerifiableCredential", "OpenBadgeCredential"],
        "name": award.title,
        "issuer": issuer,
        "validFrom": _date_time(start),
        "credentialSubject": {
            "id": holder,
            "type": ["AchievementSubject"],
            "identifier": [
                {
                    "type": "IdentityObject",
                    "hashed": False,
                    "identityHash": award.student,
                    "identityType": "systemId",
                }
            ],
            "achievement": {
                "id": uuid.uuid5(uuid.NAMESPACE_URL, f"{issuer['id']}#{award.unit}").urn,
                "type": ["Achievement"],
                "achievementType": "Badge",
                "name": award.title,
                "humanCode": award.unit,
                "description": COURSE,
                "criteria": {"narrative": award.criteria},
            },
        },
        "credentialSchema": [{"id": SCHEMA, "type": "1EdTechJsonSchemaValidator2019"}],
    }
    claims = {
        "iss": issuer["id"],
        "jti": award.id,
        "sub": holder,
        "nbf": int(start.timestamp()),
    }
    if award.end:
        end = award.end.astimezone(UTC).replace(microsecond=0)
        content["validUntil"] = _date_time(end)
        claims["exp"] = int(end.timestamp())
    return content | claims


def sign(content: dict, key: OKPKey) -> str:
    """The "Compact JWS" of a credential; its header carries the public key, as it must."""
    header = {"alg": ALGORITHM, "typ": "JWT", "jwk": key.as_dict(private=False)}
    payload = json.dumps(content, ensure_ascii=False).encode()
    return jws.serialize_compact(header, payload, key, algorithms=[ALGORITHM])


def bake(svg: str, token: str) -> str:
    """Put a token into a picture: "directly after the ``<svg>`` tag"."""
    tag = f'<openbadges:credential verify="{token}"></openbadges:credential>'
    return re.sub(
        r"<svg\b([^>]*)>",
        lambda found: f'<svg{found[1]} xmlns:openbadges="{BAKED}">\n{tag}',
        svg,
        count=1,
    )


def _date_time(moment: datetime) -> str:
    return moment.isoformat().replace("+00:00", "Z")
