"""ID tokens that must not let anybody in, each with the reason."""

from __future__ import annotations

import base64
import functools
import hashlib
import hmac
import json
from typing import Any

import pytest
from joserfc import jwt
from joserfc.jwk import ECKey, OctKey, RSAKey

from rushes.errors import SignInRefused
from rushes.identity.id_token import LEEWAY_S, verified_claims

ISSUER = "https://login.example.com"
CLIENT = "rushes"
NOW_S = 1_800_000_000
GOOD: dict[str, Any] = {
    "iss": ISSUER,
    "aud": CLIENT,
    "sub": "248289",
    "iat": NOW_S - 5,
    "exp": NOW_S + 300,
    "nonce": "n-0S6",
}


@functools.cache
def key(name: str) -> RSAKey:
    """A signing key; `stranger` is one that the issuer does not show."""
    return RSAKey.generate_key(2048, {"kid": name, "use": "sig"})


def shown() -> dict[str, Any]:
    """What the issuer shows, with keys that are not for us."""
    other = [{"kty": "oct", "k": "c2VjcmV0", "kid": "shared"}, {"kty": "XYZ"}, "nonsense"]
    return {"keys": [key("one").as_dict(private=False), *other]}


def signed(header: dict[str, Any] | None = None, signer: Any = None, **claims: Any) -> str:
    """A token with these claims in place of good ones; None leaves one out."""
    content = {name: value for name, value in {**GOOD, **claims}.items() if value is not None}
    head = {"alg": "RS256", "kid": "one", **(header or {})}
    return jwt.encode(head, content, signer or key("one"), algorithms=["RS256", "HS256", "ES256"])


def verified(token: str, **given: Any) -> dict[str, Any]:
    """The claims of a token, as a sign-in that was begun here asks for them."""
    asked = {"issuer": ISSUER, "client_id": CLIENT, "nonce": "n-0S6", "access_token": None, "now_s": NOW_S, **given}
    return dict(verified_claims(token, shown(), **asked))


def unsigned(**claims: Any) -> str:
    """A token with `alg: none`."""
    parts = [{"alg": "none", "typ": "JWT"}, {**GOOD, **claims}]
    return ".".join(base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts) + "."


def test_a_token_of_the_issuer_for_us_is_good() -> None:
    assert verified(signed())["sub"] == "248289"
    assert verified(signed(aud=[CLIENT, "other"], azp=CLIENT))["sub"] == "248289"
    assert verified(signed(exp=NOW_S - LEEWAY_S + 10))["sub"] == "248289"


@pytest.mark.parametrize(
    ("claims", "reason"),
    [
        ({"aud": "other"}, "its 'aud'"),
        ({"aud": ["other"]}, "its 'aud'"),
        ({"aud": [CLIENT, "other"], "azp": "other"}, "its 'azp'"),
        ({"aud": None}, "has no 'aud'"),
        ({"iss": "https://evil.example.com"}, "its 'iss'"),
        ({"iss": ISSUER + "/"}, "its 'iss'"),
        ({"nonce": "another"}, "its 'nonce'"),
        ({"nonce": None}, "has no 'nonce'"),
        ({"exp": NOW_S - LEEWAY_S - 1}, "it has expired"),
        ({"exp": None}, "has no 'exp'"),
        ({"exp": "soon"}, "its 'exp'"),
        ({"iat": None}, "has no 'iat'"),
        ({"iat": NOW_S + 3600}, "its 'iat'"),
        ({"nbf": NOW_S + 3600}, "its 'nbf'"),
        ({"sub": None}, "has no 'sub'"),
        ({"at_hash": "AAAA"}, "its 'at_hash'"),
    ],
)
def test_a_claim_that_is_wrong_or_missing_lets_nobody_in(claims: dict[str, Any], reason: str) -> None:
    with pytest.raises(SignInRefused) as refused:
        verified(signed(**claims), access_token="token")
    assert reason in refused.value.message


def by_hand(secret: bytes) -> str:
    """A token that takes the issuer's public key for a shared secret; the library makes none such."""
    parts = ({"alg": "HS256", "kid": "one"}, GOOD)
    text = ".".join(base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts)
    signature = hmac.new(secret, text.encode(), hashlib.sha256).digest()
    return f"{text}.{base64.urlsafe_b64encode(signature).decode().rstrip('=')}"


def forged() -> list[str]:
    shared = OctKey.import_key("secret" * 8)
    good = signed()
    head, body, signature = good.split(".")
    other = base64.urlsafe_b64encode(json.dumps({**GOOD, "sub": "admin"}).encode()).decode().rstrip("=")
    return [
        unsigned(),
        unsigned() + signature,
        signed(signer=key("stranger")),
        signed(header={"kid": "stranger"}, signer=key("stranger")),
        signed(header={"alg": "HS256"}, signer=shared),
        by_hand(key("one").as_pem(private=False)),
        signed(header={"alg": "ES256"}, signer=ECKey.generate_key("P-256")),
        f"{head}.{other}.{signature}",
        f"{head}.{body}.",
        f"{head}.{body}",
        "",
        "...",
        "\u00e4.\u00f6.\u00fc",
        "x" * 40_000,
    ]


@pytest.mark.parametrize("number", range(14))
def test_a_token_that_the_issuer_did_not_sign_lets_nobody_in(number: int) -> None:
    with pytest.raises(SignInRefused):
        verified(forged()[number])
