"""Verifies ID tokens, with Authlib and joserfc. Imported when the first person signs in, in a thread of its own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from authlib.oidc.core import CodeIDToken
from joserfc import jwt
from joserfc.errors import ExpiredTokenError, InvalidClaimError, JoseError, MissingClaimError
from joserfc.jwk import KeySet

from rushes.errors import SignInRefused

ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")
"""Signatures with a key that only the provider has: never `none`, nor a secret that we would share."""
KEY_TYPES = frozenset({"RSA", "EC", "OKP"})
LEEWAY_S = 60
"""How far the clocks of the provider and of this machine may differ."""
LONGEST_TOKEN = 32 * 1024


def verified_claims(
    token: str,
    keys: Mapping[str, Any],
    *,
    issuer: str,
    client_id: str,
    nonce: str | None,
    access_token: str | None,
    now_s: int,
) -> Mapping[str, Any]:
    """The claims of an ID token of this issuer for this client (OpenID Connect Core 1.0, section 3.1.3.7).

    `nonce` None: this sign-in had none. Raises SignInRefused, which says what is wrong and shows nothing of the token.
    """
    if len(token) > LONGEST_TOKEN:
        raise _refused("it is too long")
    usable = [key for key in keys.get("keys", ()) if _can_verify(key)]
    try:
        decoded = jwt.decode(token, KeySet.import_key_set({"keys": usable}), algorithms=ALGORITHMS)
        claims = CodeIDToken(
            decoded.claims,
            decoded.header,
            options={"iss": {"essential": True, "value": issuer}, "aud": {"essential": True, "value": client_id}},
            params={"client_id": client_id, "nonce": nonce, "access_token": access_token},
        )
        claims.validate(now=now_s, leeway=LEEWAY_S)
    except ExpiredTokenError as exc:
        raise _refused("it has expired") from exc
    except MissingClaimError as exc:
        raise _refused(f"it has no '{exc.claim}'") from exc
    except InvalidClaimError as exc:
        raise _refused(f"its '{exc.claim}' is not the one that was expected") from exc
    except (JoseError, ValueError, KeyError, TypeError) as exc:
        raise _refused("it is not signed by a key of the issuer") from exc
    return dict(claims)


def _can_verify(key: object) -> bool:
    return isinstance(key, dict) and key.get("kty") in KEY_TYPES and key.get("use") != "enc"


def _refused(why: str) -> SignInRefused:
    return SignInRefused(f"The ID token of your identity provider is refused: {why}")
