"""The published client, the real package unchanged, against a real service over sockets.

Every method, every argument and every exception that the service has an answer for; what it maps by words it must map
to the right exception even where a caller's own words stand in the answer.
"""

from __future__ import annotations

import base64
import io
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import indoxhub
import pytest
import requests
from indoxhub import Client
from PIL import Image

from tests.fixtures.service import Key, Service
from tests.fixtures.time_limits import GENEROUS_S

QUICK: dict[str, Any] = {"model": "animatic/storyboard", "duration": 1, "resolution": "360p", "generate_audio": False}
"""The cheapest video there is to draw."""


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service that starts jobs at once."""
    running = Service(tmp_path_factory.mktemp("service")).start()
    yield running
    running.finish()


@pytest.fixture(scope="module")
def held(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service in which every job stays pending."""
    running = Service(tmp_path_factory.mktemp("held"), RUSHES_TEST_HOLD_S=3600).start()
    yield running
    running.finish()


@contextmanager
def opened(service: Service, key: Key, **given: Any) -> Iterator[Client]:
    with Client(api_key=key.text, **{"base_url": service.url, **given}) as client:
        yield client


@pytest.fixture(scope="module")
def client(service: Service) -> Iterator[Client]:
    with opened(service, service.key()) as client:
        yield client


@pytest.fixture(scope="module")
def live_client(service: Service) -> Iterator[Client]:
    with opened(service, service.key(test=False)) as client:
        yield client


@pytest.fixture
def holding(held: Service) -> Iterator[Client]:
    with opened(held, held.key()) as client:
        yield client


def job_of(started: dict[str, Any]) -> str:
    assert started["data"]["is_async"] is True
    job_id = started["data"]["job_id"]
    assert isinstance(job_id, str)
    return job_id


def post(service: Service, path: str, **options: Any) -> requests.Response:
    with requests.Session() as session:
        return session.post(service.url + path, timeout=GENEROUS_S, **options)


class TestHandshake:
    def test_a_key_becomes_a_bearer_token_and_a_cookie(self, client: Client) -> None:
        assert client.access_token.startswith("rushes_token_")
        assert client.session.cookies["access_token"] == client.access_token

    def test_the_answer_has_what_oauth_says(self, service: Service) -> None:
        answer = post(service, "/api/v1/auth/api-key", headers={"X-API-Key": service.key().text})
        assert answer.status_code == 200
        content = answer.json()
        assert content.keys() == {"access_token", "token_type", "expires_in"}
        assert (content["token_type"], content["expires_in"]) == ("bearer", 24 * 3600)
        assert answer.headers["Cache-Control"] == "no-store"

    def test_the_cookie_is_kept_from_scripts_and_from_other_sites(self, service: Service) -> None:
        answer = post(service, "/api/v1/auth/api-key", headers={"X-API-Key": service.key().text})
        cookie = answer.headers["Set-Cookie"].lower()
        assert "httponly" in cookie
        assert "samesite=lax" in cookie
        assert "secure" not in cookie

    def test_over_https_the_cookie_is_secure(self, service: Service) -> None:
        headers = {"X-API-Key": service.key().text, "X-Forwarded-Proto": "https"}
        assert "secure" in post(service, "/api/v1/auth/api-key", headers=headers).headers["Set-Cookie"].lower()

    @pytest.mark.parametrize("username", ["KEY", "pip_client", None])
    def test_both_forms_are_taken(self, service: Service, username: str | None) -> None:
        key = service.key().text
        form = {"password": key} | ({} if username is None else {"username": username.replace("KEY", key)})
        answer = post(service, "/api/v1/auth/token", data=form)
        assert answer.status_code == 200, answer.text
        assert answer.json()["access_token"].startswith("rushes_token_")

    @pytest.mark.parametrize(
        ("options", "status"),
        [
            ({"data": {"username": "someone"}}, 422),
            ({"data": {"password": ""}}, 422),
            ({"json": {"password": "x"}}, 415),
            ({"data": {"password": "x" * 20_000}}, 413),
            ({"data": {"password": "x"}}, 401),
        ],
    )
    def test_a_wrong_form_is_refused(self, service: Service, options: dict[str, Any], status: int) -> None:
        answer = post(service, "/api/v1/auth/token", **options)
        assert answer.status_code == status
        assert answer.headers["Content-Type"] == "application/problem+json"

    def test_the_cookie_alone_does_not_authenticate(self, service: Service, client: Client) -> None:
        with requests.Session() as session:
            session.cookies.set("access_token", client.access_token)
            answer = session.get(f"{service.url}/api/v1/videos/jobs", timeout=GENEROUS_S)
        assert answer.status_code == 401

    def test_a_token_cannot_be_exchanged_for_another(self, service: Service, client: Client) -> None:
        answer = post(service, "/api/v1/auth/api-key", headers={"X-API-Key": client.access_token})
        assert answer.status_code == 401

    def test_an_unknown_key_is_an_authentication_error(self, service: Service) -> None:
        with pytest.raises(indoxhub.AuthenticationError, match="not valid"), opened(service, Key("", "rushes_test_no")):
            pass

    def test_a_refused_token_is_replaced_by_itself(self, service: Service) -> None:
        with opened(service, service.key()) as client:
            client.access_token = "rushes_token_nonsense"
            assert client.list_video_jobs()["jobs"] == []
            assert client.access_token != "rushes_token_nonsense"

    def test_a_token_ends_with_its_key(self, service: Service) -> None:
        key = service.key()
        with opened(service, key) as client:
            assert client.list_video_jobs()["total"] == 0
            service.run("keys", "revoke", key.id)
            with pytest.raises(indoxhub.AuthenticationError):
                client.list_video_jobs()

    def test_a_token_sees_what_its_key_sees(self, held: Service) -> None:
        mine, theirs = held.key(account="mine"), held.key(account="theirs")
        with opened(held, mine) as me, opened(held, theirs) as them:
            job_id = job_of(me.videos("A lighthouse", **QUICK))
            with pytest.raises(indoxhub.APIError, match="not found"):
                them.get_video_job_status(job_id)

    def test_a_base_url_may_end_with_a_slash(self, service: Service) -> None:
        with opened(service, service.key(), base_url=f"{service.url}/") as client:
            assert client.list_video_jobs()["total"] == 0

    def test_the_connection_test_succeeds(self, client: Client) -> None:
        report = client.test_connection()
        assert (report["status"], report["status_code"]) == ("connected", 200)
        assert report["server_info"]["name"] == "rushes"

    def test_nobody_listening_is_a_network_error(self, service: Service) -> None:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            port = listener.getsockname()[1]
        with pytest.raises(indoxhub.NetworkError), opened(service, service.key(), base_url=f"http://127.0.0.1:{port}"):
            pass


class TestVideos:
    def test_every_text_argument_arrives(self, holding: Client) -> None:
        given = {
            "aspect_ratio": "9:16",
            "resolution": "480p",
            "duration": 3,
            "n": 2,
            "generate_audio": True,
            "negative_prompt": "rain",
            "person_generation": "allow_adult",
            "response_format": "url",
        }
        started = holding.videos("A lighthouse", model="animatic/storyboard", seed=0, **given)
        job = holding.get_video_job_status(job_of(started))
        assert job["prompt"] == "A lighthouse"
        assert job["request"].items() >= {**given, "seed": 0}.items()

    def test_size_is_ratio_and_resolution(self, holding: Client) -> None:
        started = holding.videos("A lighthouse", model="animatic/storyboard", size="1280x720")
        job = holding.get_video_job_status(job_of(started))
        assert (job["request"]["aspect_ratio"], job["request"]["resolution"]) == ("16:9", "720p")

    def test_further_arguments_are_additional_params(self, holding: Client) -> None:
        job_id = job_of(holding.videos("A lighthouse", model="animatic/storyboard", flair=0.5, return_generator=True))
        assert holding.get_video_job_status(job_id)["request"]["additional_params"] == {"flair": 0.5}

    def test_a_provider_among_them_is_the_provider(self, holding: Client) -> None:
        assert holding.videos("A lighthouse", model="storyboard", provider="animatic")["provider"] == "animatic"

    def test_the_default_model_is_the_published_one(self, holding: Client) -> None:
        started = holding.videos("A lighthouse")
        assert (started["provider"], started["model"]) == ("google", "veo-3.0-generate-001")

    def test_the_published_example_runs_to_a_playing_video(self, service: Service, client: Client) -> None:
        seen: list[dict[str, Any]] = []
        job_id = job_of(client.videos("A lighthouse", **QUICK))
        job = client.wait_for_video_job(job_id, check_interval=0.05, callback=seen.append)
        assert seen[-1]["status"] == job["status"] == "completed"
        assert job["result"]["video_url"].startswith(service.url)
        assert client.session.get(job["result"]["video_url"], timeout=GENEROUS_S).content[4:8] == b"ftyp"


class TestWaiting:
    @pytest.mark.parametrize("model", ["fail", "filtered"])
    def test_it_ends_on_a_job_that_failed(self, client: Client, model: str) -> None:
        job_id = job_of(client.videos("A lighthouse", **{**QUICK, "model": f"animatic/{model}"}))
        with pytest.raises(indoxhub.APIError, match="Video generation failed: "):
            client.wait_for_video_job(job_id, check_interval=0.05, max_wait_time=60)

    def test_it_ends_on_a_cancelled_job(self, holding: Client) -> None:
        job_id = job_of(holding.videos("A lighthouse", **QUICK))
        holding.cancel_video_job(job_id)
        with pytest.raises(indoxhub.APIError, match="cancelled"):
            holding.wait_for_video_job(job_id)

    def test_it_gives_up_in_time(self, holding: Client) -> None:
        job_id = job_of(holding.videos("A lighthouse", **QUICK))
        with pytest.raises(TimeoutError):
            holding.wait_for_video_job(job_id, check_interval=0.05, max_wait_time=0.1)


class TestJobs:
    def test_a_list_is_paged(self, held: Service) -> None:
        with opened(held, held.key(account="lists")) as client:
            job_ids = [job_of(client.videos("A lighthouse", **QUICK)) for _ in range(3)]
            page = client.list_video_jobs(limit=2, skip=1)
        assert [job["job_id"] for job in page["jobs"]] == job_ids[1::-1]
        assert (page["total"], page["limit"], page["skip"]) == (3, 2, 1)

    def test_a_pending_job_is_cancelled(self, holding: Client) -> None:
        job_id = job_of(holding.videos("A lighthouse", **QUICK))
        answer = holding.cancel_video_job(job_id)
        assert answer == {"success": True, "job_id": job_id, "status": "failed", "message": "Job cancelled"}

    def test_a_finished_job_is_not(self, client: Client) -> None:
        job_id = job_of(client.videos("A lighthouse", **QUICK))
        client.wait_for_video_job(job_id, check_interval=0.05)
        with pytest.raises(indoxhub.APIError, match=r"Client error \(409\).*completed"):
            client.cancel_video_job(job_id)


class TestModels:
    def test_all_are_listed_with_their_provider(self, client: Client) -> None:
        # As its README reads them; its type hint says a dict, which that example contradicts.
        found = {(provider["id"], model["id"]) for provider in client.models() for model in provider["models"]}
        assert found >= {("animatic", "storyboard"), ("google", "veo-3.0-generate-001")}

    def test_one_providers_models_read_as_its_readme_reads_them(self, client: Client) -> None:
        provider = client.models("google")
        assert provider["name"] == "Google"
        assert "veo-3.0-generate-001" in [model["id"] for model in provider["models"]]
        assert all(isinstance(model["description"] or "", str) for model in provider["models"])
        assert all(", ".join(model["capabilities"]) for model in provider["models"])

    def test_one_model_is_described(self, client: Client) -> None:
        model = client.get_model_info("google", "veo-3.0-generate-001")
        assert (model["id"], model["status"], model["retired"]) == ("veo-3.0-generate-001", "retired", "2026-06-30")

    def test_a_listed_id_can_be_asked_for(self, holding: Client) -> None:
        for model in holding.models("animatic")["models"]:
            assert holding.videos("A lighthouse", model=model["full_id"])["model"] == model["id"]


class TestUsage:
    def test_real_jobs_are_counted_by_what_became_of_them(self, service: Service) -> None:
        with opened(service, service.key(account="usage")) as client:
            assert client.get_usage()["total_requests"] == 0
            done = job_of(client.videos("A lighthouse", **QUICK))
            broken = job_of(client.videos("A lighthouse", **{**QUICK, "model": "animatic/fail"}))
            client.wait_for_video_job(done, check_interval=0.05)
            with pytest.raises(indoxhub.APIError):
                client.wait_for_video_job(broken, check_interval=0.05)
            usage = client.get_usage()
        assert (usage["total_requests"], usage["total_cost"], usage["currency"]) == (2, 0, "USD")
        assert (usage["total"]["completed"], usage["total"]["failed"], usage["total"]["open"]) == (1, 1, 0)
        assert usage["current_period"]["requests"] == 2
        assert usage["by_provider"]["animatic"]["requests"] == 2
        assert {model: sums["requests"] for model, sums in usage["by_model"].items()} == {"storyboard": 1, "fail": 1}

    def test_a_cancelled_job_has_failed_and_costs_nothing(self, held: Service) -> None:
        with opened(held, held.key(account="usage")) as client:
            client.cancel_video_job(job_of(client.videos("A lighthouse", **QUICK)))
            total = client.get_usage()["total"]
        assert (total["requests"], total["failed"], total["open"], total["cost"]) == (1, 1, 0, 0)


class TestExceptions:
    @pytest.mark.parametrize(
        "model",
        [
            "animatic/nope",
            "nope",
            "provider-9",
            "animatic/provider-9",
            "a/b:not supported",
            "Disabled/unavailable",
        ],
    )
    def test_an_unknown_model_is_not_found(self, client: Client, model: str) -> None:
        with pytest.raises(indoxhub.ModelNotFoundError, match=r"^Model '.*' not found$"):
            client.videos("A lighthouse", model=model)

    def test_a_model_to_look_at_is_not_found_likewise(self, client: Client) -> None:
        with pytest.raises(indoxhub.ModelNotFoundError, match=r"^Model 'p…-9/a:b' not found$"):
            client.get_model_info("google", "provider-9/a:b")

    def test_an_unknown_provider_is_not_found(self, client: Client) -> None:
        not_found = "^Provider 'nope' not found$"
        with pytest.raises(indoxhub.ProviderNotFoundError, match=not_found):
            client.models("nope")
        with pytest.raises(indoxhub.ProviderNotFoundError, match=not_found):
            client.get_model_info("nope", "veo")
        with pytest.raises(indoxhub.ProviderNotFoundError, match=not_found):
            client.videos("A lighthouse", model="veo", provider="nope")

    def test_a_model_without_credentials_is_not_available(self, live_client: Client) -> None:
        with pytest.raises(indoxhub.exceptions.ModelNotAvailableError, match="byok_api_key"):
            live_client.videos("A lighthouse")

    @pytest.mark.parametrize(
        "given",
        [
            {"duration": 7},
            {"resolution": "8k"},
            {"n": 5},
            {"aspect_ratio": "validation"},
            {"aspect_ratio": "invalid format"},
            {"negative_prompt": "Validation " * 1000},
        ],
    )
    def test_what_the_model_does_not_offer_is_an_invalid_parameter(self, client: Client, given: dict[str, Any]) -> None:
        with pytest.raises(indoxhub.InvalidParametersError):
            client.videos("A lighthouse", model="google/veo-3.0-generate-001", **given)

    @pytest.mark.parametrize("given", [{"duration": "long"}, {"n": 11}, {"prompt": ""}, {"response_format": "gif"}])
    def test_a_malformed_request_is_a_validation_error(self, client: Client, given: dict[str, Any]) -> None:
        with pytest.raises(indoxhub.exceptions.ValidationError):
            client.videos(**{"prompt": "A lighthouse", **QUICK, **given})

    def test_a_malformed_page_is_a_validation_error(self, client: Client) -> None:
        with pytest.raises(indoxhub.exceptions.ValidationError):
            client.list_video_jobs(limit=0)

    @pytest.mark.parametrize("job_id", ["job_nope", "job_model", "model-provider", "MODEL"])
    def test_an_unknown_job_is_an_api_error(self, client: Client, job_id: str) -> None:
        for call in (client.get_video_job_status, client.cancel_video_job, client.wait_for_video_job):
            with pytest.raises(indoxhub.APIError, match=r"^Resource not found: "):
                call(job_id)

    def test_a_route_that_we_do_not_have_is_an_api_error(self, client: Client) -> None:
        with pytest.raises(indoxhub.APIError, match=r"^Resource not found: "):
            client.embeddings("text")

    def test_trouble_on_our_side_is_a_request_error(self, tmp_path_factory: pytest.TempPathFactory) -> None:
        broken = Service(tmp_path_factory.mktemp("broken"), RUSHES_TEST_HOLD_S=3600).start()
        broken.may_log_tracebacks = True
        try:
            with opened(broken, broken.key()) as client:
                job_id = job_of(client.videos("A lighthouse", **QUICK))
                broken.change("UPDATE jobs SET request = '{'")
                with pytest.raises(indoxhub.RequestError, match=r"Server error \(500\): Something went wrong"):
                    client.get_video_job_status(job_id)
                broken.change("ALTER TABLE jobs RENAME TO lost")
                with pytest.raises(indoxhub.APIError, match="Service unavailable"):
                    client.get_video_job_status(job_id)
        finally:
            broken.finish()


def png(colour: str) -> str:
    """A picture as this client takes one: base64."""
    content = io.BytesIO()
    Image.new("RGB", (320, 180), colour).save(content, "PNG")
    return base64.b64encode(content.getvalue()).decode()


class TestMedia:
    def test_every_picture_argument_is_taken(self, client: Client) -> None:
        started = client.videos(
            "A lighthouse",
            input_image=png("red"),
            last_frame=png("blue"),
            reference_image=png("green"),
            reference_images=[png("white"), png("black")],
            **QUICK,
        )
        job = client.wait_for_video_job(job_of(started), check_interval=0.05)
        assert job["status"] == "completed"
        roles = [media["role"] for media in job["request"]["media"]]
        assert sorted(roles) == ["input_image", "last_frame", *3 * ["reference_image"]]

    def test_a_video_is_extended(self, client: Client) -> None:
        first = client.wait_for_video_job(
            job_of(client.videos("A lighthouse", response_format="b64_json", **QUICK)), check_interval=0.05
        )
        started = client.videos("And on", video=first["result"]["b64_json"], **QUICK)
        job = client.wait_for_video_job(job_of(started), check_interval=0.05)
        assert job["result"]["duration"] > first["result"]["duration"]

    def test_the_older_examples_that_expect_the_video_at_once_work_with_a_header(self, service: Service) -> None:
        with opened(service, service.key()) as client:
            client.session.headers["Prefer"] = "wait=60"
            response = client.videos("A lighthouse", **QUICK)
            video_url = response["data"][0]["url"]
            assert client.session.get(video_url, timeout=GENEROUS_S).content[4:8] == b"ftyp"
            response = client.videos("A lighthouse", response_format="b64_json", **QUICK)
            assert base64.b64decode(response["data"][0]["b64_json"])[4:8] == b"ftyp"

    def test_a_picture_that_is_none_is_a_bad_request(self, client: Client) -> None:
        with pytest.raises(indoxhub.InvalidParametersError):
            client.videos("A lighthouse", input_image=base64.b64encode(b"no picture").decode(), **QUICK)

    def test_an_own_key_is_accepted_and_never_shown(self, client: Client) -> None:
        started = client.videos("A lighthouse", byok_api_key="my-own-provider-key", model="google/veo-3.0-generate-001")
        assert started["byok_api_key"] is False
        assert any("byok_api_key" in warning for warning in started["warnings"])
        assert "my-own-provider-key" not in str(started) + str(client.get_video_job_status(job_of(started)))
