"""Addresses that redirects may lead to, and the tokens of forms."""

from __future__ import annotations

import pytest

from rushes.console.security import ForeignForm, check_form, csp, csrf_token, local_path


@pytest.mark.parametrize("path", ["/console", "/console/jobs", "/console/jobs?status=failed&q=a%20b", "/console/?x=1"])
def test_a_path_of_the_console_is_followed(path: str) -> None:
    assert local_path(path, "/console", "/else") == path


@pytest.mark.parametrize(
    "path",
    [
        None, "", "/", "/consolex", "console", "//host/console", "/\\host", "\\\\host", "https://host/console",
        "https:/console",
        "/console/../api", "/console/./x", "/console\n/x", "/console\t", "javascript:alert(1)", "///console", "/api/v1",
    ],
)  # fmt: skip
def test_everything_else_is_not(path: str | None) -> None:
    assert local_path(path, "/console", "/else") == "/else"


def test_a_token_holds_for_its_cookie_alone() -> None:
    check_form("secret", csrf_token("secret"))
    for secret, token in (
        ("other", csrf_token("secret")),
        (None, csrf_token("secret")),
        ("secret", None),
        ("secret", ""),
    ):
        with pytest.raises(ForeignForm):
            check_form(secret, token)


def test_a_token_does_not_tell_the_cookie() -> None:
    assert "secret" not in csrf_token("secret")


def test_the_policy_names_the_storage_for_media_alone() -> None:
    policy = dict(part.split(" ", 1) for part in csp("https://bucket.example").split("; "))
    assert {name for name, sources in policy.items() if "bucket" in sources} == {"img-src", "media-src"}
    assert "unsafe" not in csp(None)
