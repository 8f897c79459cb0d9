"""What the stores of webhooks promise, over every database."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest

from rushes.domain.job import Problem, State
from rushes.domain.job_webhook import JobWebhook
from rushes.domain.progress import Submission
from rushes.domain.tenant import Tenant
from rushes.errors import DeliveryNotFound, NotRedeliverable, WebhookLimitReached, WebhookNotFound
from rushes.jobs.store import JobStore
from rushes.webhooks.capacity import Capacity, CapacityLimits
from rushes.webhooks.endpoint import Delivery, DeliveryState, Endpoint
from rushes.webhooks.message import MessageType
from rushes.webhooks.outbox import UNNOTIFIED, DeliveryOutcome, Outbox, before_deletion
from rushes.webhooks.store import MOST_ENDPOINTS, Change, DeliveryListing, WebhookStore
from tests.contract.database_harness import Desk, together
from tests.fixtures.new_jobs import ACCOUNT, new_job
from tests.fixtures.scripted_provider import stored_video

LIMITS = CapacityLimits(most=100, of_account=3, of_lane=2, kept=0)
LEASE_S = 60.0
URL = "https://example.com/hook?token=t"
OWN = JobWebhook("sealed", "https://own.example.com/hook")
FAILED = DeliveryOutcome(status=500, error="the receiver answered 500", duration_ms=1, wait_s=5)
GIVEN_UP = DeliveryOutcome(status=500, error="the receiver answered 500", duration_ms=1)
DELIVERED = DeliveryOutcome(status=200, duration_ms=1)


@pytest.fixture
def outbox(desk: Desk) -> Outbox:
    return Outbox(desk.harness.database, lease_s=LEASE_S)


@pytest.fixture
def store(desk: Desk) -> WebhookStore:
    return WebhookStore(desk.harness.database)


async def register(
    store: WebhookStore, name: str = "whe_1", url: str = URL, events: tuple[str, ...] | None = None
) -> Endpoint:
    return await store.create(name, ACCOUNT, Change(url, events, None, enabled=True), f"sealed {name}")


async def finish(desk: Desk, number: int = 1, webhook: JobWebhook | None = None) -> None:
    """A job from its creation to its end."""
    await desk.jobs.create(new_job(number, webhook=webhook))
    claimed, leases = (await desk.claim())[f"job_{number}"], desk.leases()
    await leases.record(claimed).intend(attempt_id=f"att_{number}", part=0, n=1)
    await leases.record(claimed).accept(f"att_{number}", Submission({}))
    await leases.record(claimed).begin_storing()
    await leases.record(claimed).succeed([stored_video(f"videos/{number}")], "stored")


async def claim(outbox: Outbox, most: int = 100) -> list[Delivery]:
    return list((await outbox.claim(most, Capacity(LIMITS))).deliveries)


async def one_message(desk: Desk, store: WebhookStore, outbox: Outbox) -> Delivery:
    """The only message, claimed."""
    await register(store, events=("video.completed",))
    await finish(desk)
    await outbox.write_messages(100)
    (delivery,) = await claim(outbox)
    return delivery


async def get(store: WebhookStore) -> Delivery:
    (delivery,) = await store.list_deliveries(ACCOUNT, DeliveryListing(limit=10))
    return delivery


async def test_without_a_listener_a_change_leaves_nothing_to_tell(desk: Desk, outbox: Outbox) -> None:
    await finish(desk)
    assert not await outbox.has_news()
    assert await outbox.owed() == []


async def test_each_change_that_callers_see_is_told_once_to_each_who_listens(
    desk: Desk, store: WebhookStore, outbox: Outbox
) -> None:
    await register(store, "whe_1")
    await register(store, "whe_2", events=("video.failed", "video.completed"))
    await store.create("whe_3", Tenant("acct_2"), Change(URL, None, None, enabled=True), "sealed")
    await finish(desk, webhook=OWN)
    assert await outbox.has_news()
    assert sum([await outbox.write_messages(1) for _ in range(3)]) == 2
    assert not await outbox.has_news()
    found = await store.list_deliveries(ACCOUNT, DeliveryListing(limit=100))
    assert sorted((one.endpoint_id or "own", one.type) for one in found) == [
        ("own", "video.completed"), ("own", "video.started"), ("whe_1", "video.completed"),
        ("whe_1", "video.started"), ("whe_2", "video.completed"),
    ]  # fmt: skip
    assert {one.shown_url for one in found} == {"https://example.com/hook", OWN.shown_url}


async def test_two_that_write_messages_at_one_time_write_each_once(
    desk: Desk, store: WebhookStore, outbox: Outbox
) -> None:
    await register(store, events=("video.completed",))
    for number in range(5):
        await finish(desk, number)
    await together(*(outbox.write_messages(3) for _ in range(6)))
    found = await store.list_deliveries(ACCOUNT, DeliveryListing(limit=100))
    assert sorted(one.job_id for one in found) == [f"job_{number}" for number in range(5)]


async def test_a_cancelled_an_expired_and_a_recovered_job_are_told_as_such(
    desk: Desk, store: WebhookStore, outbox: Outbox
) -> None:
    await register(store)
    await desk.jobs.create(new_job(1))
    await desk.jobs.cancel(ACCOUNT, "job_1")
    await desk.jobs.create(new_job(2, deadline_s=1))
    desk.harness.pass_time(2)
    assert await desk.leases().expire_overdue(10) == 1
    await outbox.write_messages(100)
    found = await store.list_deliveries(ACCOUNT, DeliveryListing(limit=100))
    assert {one.job_id: one.type for one in found} == {"job_1": "video.cancelled", "job_2": "video.failed"}


async def test_a_message_is_claimed_by_one_until_its_lease_runs_out(
    desk: Desk, store: WebhookStore, outbox: Outbox
) -> None:
    first = await one_message(desk, store, outbox)
    assert await claim(outbox) == []
    desk.harness.pass_time(LEASE_S)
    (second,) = await claim(outbox)
    assert (second.id, second.attempts) == (first.id, 0)
    assert not await outbox.record(first, GIVEN_UP)
    assert (await get(store)).state is DeliveryState.PENDING
    assert await outbox.record(second, DELIVERED)
    assert (await get(store)).state is DeliveryState.DELIVERED
    assert await outbox.owed() == []


async def test_claims_at_one_time_share_the_messages(desk: Desk, store: WebhookStore, outbox: Outbox) -> None:
    for number in range(4):
        await register(store, f"whe_{number}", url=f"https://{number}.example.com", events=("video.completed",))
    await finish(desk)
    await outbox.write_messages(100)
    claims = await asyncio.gather(*(outbox.claim(1, Capacity(LIMITS)) for _ in range(6)))
    taken = [delivery.id for one in claims for delivery in one.deliveries]
    desk.harness.pass_time(1)
    taken += [delivery.id for delivery in await claim(outbox)]
    assert len(taken) == len(set(taken)) >= 3


async def test_what_a_stopped_process_gives_back_can_be_claimed_at_once(
    desk: Desk, store: WebhookStore, outbox: Outbox
) -> None:
    delivery = await one_message(desk, store, outbox)
    assert await outbox.give_back("another") == 0
    assert await outbox.give_back(delivery.lease) == 1
    (again,) = await claim(outbox)
    assert await outbox.give_back() == 1
    assert [one.id for one in await claim(outbox)] == [again.id]


async def test_a_failed_try_comes_back_when_its_wait_is_over_and_a_last_one_never(
    desk: Desk, store: WebhookStore, outbox: Outbox
) -> None:
    delivery = await one_message(desk, store, outbox)
    await outbox.record(delivery, FAILED)
    assert await outbox.next_due_at(Capacity(LIMITS)) == desk.harness.now_ms() + 5000
    desk.harness.pass_time(4.9)
    assert await claim(outbox) == []
    desk.harness.pass_time(0.1)
    (again,) = await claim(outbox)
    assert (again.attempts, again.last_status, again.last_error) == (1, 500, FAILED.error)
    await outbox.record(again, GIVEN_UP)
    desk.harness.pass_time(10**6)
    assert await claim(outbox) == []
    assert (await get(store)).state is DeliveryState.DEAD
    # An empty lane is put away when it is next looked at.
    assert await desk.rows("SELECT * FROM webhook_lanes") == []


async def test_a_busy_lane_and_a_busy_account_are_passed_over(desk: Desk, store: WebhookStore, outbox: Outbox) -> None:
    for name in ("one", "two"):
        await register(store, name, url=f"https://{name}.example.com", events=("video.completed",))
    for number in range(5):
        await finish(desk, number)
    await outbox.write_messages(100)
    first = await claim(outbox)
    # Two of a lane, three of the account.
    assert sorted(Counter(one.lane for one in first).values()) == [1, 2]
    hung, other = first[0].lane, first[2].lane
    rest = await outbox.claim(100, Capacity(LIMITS, [(hung, ACCOUNT), (hung, ACCOUNT)]))
    assert [one.lane for one in rest.deliveries] == [other]
    full = Capacity(LIMITS, [("elsewhere", ACCOUNT)] * 3)
    assert (await outbox.claim(100, full)).deliveries == []
    assert await outbox.next_due_at(full) is None


async def test_an_endpoints_failures_are_counted_until_one_success(
    desk: Desk, store: WebhookStore, outbox: Outbox
) -> None:
    delivery = await one_message(desk, store, outbox)
    for failures in (1, 2):
        await outbox.record(delivery, FAILED)
        endpoint = await store.get(ACCOUNT, "whe_1")
        assert (endpoint.consecutive_failures, endpoint.last_error) == (failures, FAILED.error)
        desk.harness.pass_time(5)
        (delivery,) = await claim(outbox)
    await outbox.record(delivery, DELIVERED)
    assert (await store.get(ACCOUNT, "whe_1")).consecutive_failures == 0


async def test_a_receiver_that_is_gone_disables_its_endpoint_which_then_hears_nothing(
    desk: Desk, store: WebhookStore, outbox: Outbox
) -> None:
    delivery = await one_message(desk, store, outbox)
    await outbox.record(delivery, DeliveryOutcome(410, "gone", 1, disable="it answered 410"))
    assert (await store.get(ACCOUNT, "whe_1")).disabled_reason == "it answered 410"
    await finish(desk, 2)
    assert not await outbox.has_news()
    with pytest.raises(NotRedeliverable):
        await store.redeliver(ACCOUNT, delivery.id)
    enabled = await store.change(ACCOUNT, "whe_1", Change(URL, None, None, enabled=True))
    assert enabled.disabled_reason is None
    assert (await store.redeliver(ACCOUNT, delivery.id)).state is DeliveryState.PENDING
    assert [one.id for one in await claim(outbox)] == [delivery.id]


async def test_a_deleted_job_leaves_what_its_messages_need_until_they_are_settled(
    desk: Desk, store: WebhookStore, outbox: Outbox
) -> None:
    await register(store, events=("video.completed",))
    await finish(desk)
    jobs = JobStore(desk.harness.database, deleting=before_deletion)
    await jobs.delete(ACCOUNT, "job_1")
    assert not await outbox.has_news()
    (delivery,) = await claim(outbox)
    assert '"id": "job_1"' in (delivery.snapshot or "")
    await outbox.record(delivery, GIVEN_UP)
    assert (await get(store)).snapshot is None
    with pytest.raises(NotRedeliverable):
        await store.redeliver(ACCOUNT, delivery.id)


async def test_redelivery_hastens_one_that_waits_and_leaves_one_under_way_alone(
    desk: Desk, store: WebhookStore, outbox: Outbox
) -> None:
    delivery = await one_message(desk, store, outbox)
    assert (await store.redeliver(ACCOUNT, delivery.id)).lease == delivery.lease
    await outbox.record(delivery, FAILED)
    assert (await store.redeliver(ACCOUNT, delivery.id)).attempts == 1
    assert [one.id for one in await claim(outbox)] == [delivery.id]
    with pytest.raises(DeliveryNotFound):
        await store.redeliver(Tenant("acct_2"), delivery.id)


async def test_settled_messages_are_forgotten_in_time_and_others_never(
    desk: Desk, store: WebhookStore, outbox: Outbox
) -> None:
    delivery = await one_message(desk, store, outbox)
    desk.harness.pass_time(1000)
    assert await outbox.forget(10, 5) == 0
    (delivery,) = await claim(outbox)
    await outbox.record(delivery, DELIVERED)
    assert await outbox.forget(10, 5) == 0
    desk.harness.pass_time(10)
    assert await outbox.forget(10, 5) == 1
    assert await store.list_deliveries(ACCOUNT, DeliveryListing(limit=10)) == []


async def test_deliveries_are_listed_by_page_state_and_endpoint(
    desk: Desk, store: WebhookStore, outbox: Outbox
) -> None:
    await register(store)
    for number in range(3):
        await finish(desk, number, OWN)
    await outbox.write_messages(100)
    (delivery, *_) = await claim(outbox)
    await outbox.record(delivery, GIVEN_UP)
    seen: list[int] = []
    while True:
        listing = DeliveryListing(limit=5, before_seq=seen[-1] if seen else None)
        page = await store.list_deliveries(ACCOUNT, listing)
        seen += [one.seq for one in page]
        if len(page) < 5:
            break
    assert len(seen) == 12
    assert seen == sorted(seen, reverse=True)
    dead = await store.list_deliveries(ACCOUNT, DeliveryListing(limit=5, state=DeliveryState.DEAD))
    assert [one.id for one in dead] == [delivery.id]
    of_one = await store.list_deliveries(ACCOUNT, DeliveryListing(limit=100, endpoint_id="whe_1"))
    assert len(of_one) == 6
    assert await store.list_deliveries(Tenant("acct_2"), DeliveryListing(limit=100)) == []


async def test_of_many_that_register_at_one_time_only_the_allowed_number_is_taken(
    desk: Desk, store: WebhookStore
) -> None:
    await desk.harness.database.write(
        lambda transaction: transaction.execute(
            "INSERT INTO accounts (id, name, created_at) VALUES (:id, 'one', :now)", id=ACCOUNT
        )
    )
    made = await together(*(register(store, f"whe_{number}") for number in range(MOST_ENDPOINTS + 5)))
    assert sum(isinstance(one, Endpoint) for one in made) == MOST_ENDPOINTS
    assert sum(isinstance(one, WebhookLimitReached) for one in made) == 5
    assert len(await store.list(ACCOUNT)) == MOST_ENDPOINTS


async def test_another_accounts_endpoint_is_not_there(store: WebhookStore) -> None:
    await register(store)
    for call in (
        store.get(Tenant("acct_2"), "whe_1"),
        store.change(Tenant("acct_2"), "whe_1", Change(URL, None, None, enabled=False)),
        store.rotate(Tenant("acct_2"), "whe_1", "x"),
        store.delete(Tenant("acct_2"), "whe_1"),
    ):
        with pytest.raises(WebhookNotFound):
            await call
    assert (await store.get(ACCOUNT, "whe_1")).enabled


async def test_a_rotated_secret_keeps_the_one_before_for_a_day(desk: Desk, store: WebhookStore) -> None:
    await register(store)
    rotated = (await store.rotate(ACCOUNT, "whe_1", "new")).secret
    assert (rotated.sealed, rotated.old_sealed) == ("new", "sealed whe_1")
    assert rotated.old_until == desk.harness.now_ms() + 86_400_000


async def test_an_account_gets_one_signing_secret_however_many_ask(store: WebhookStore) -> None:
    assert await store.find_secret(ACCOUNT) is None
    made = await asyncio.gather(*(store.keep_secret(ACCOUNT, f"sealed {number}") for number in range(5)))
    assert len({secret.sealed for secret in made}) == 1
    rotated = await store.rotate_secret(ACCOUNT, "new")
    assert (rotated.sealed, rotated.old_sealed) == ("new", made[0].sealed)
    assert (await store.rotate_secret(Tenant("acct_2"), "first")).old_sealed is None


async def test_what_was_never_told_is_found(desk: Desk, store: WebhookStore, outbox: Outbox) -> None:
    await finish(desk, webhook=OWN)
    assert [row["job_id"] for row in await desk.rows(UNNOTIFIED)] == ["job_1"]
    await outbox.write_messages(100)
    assert len(await outbox.owed()) == 2
    for delivery in await claim(outbox):
        await outbox.record(delivery, GIVEN_UP if delivery.type == MessageType.COMPLETED else DELIVERED)
    assert await outbox.owed() == []
    assert await desk.rows(UNNOTIFIED) == []


async def test_a_job_that_fails_before_it_began_is_told_as_failed(
    desk: Desk, store: WebhookStore, outbox: Outbox
) -> None:
    await register(store)
    await desk.jobs.create(new_job())
    await desk.leases().record(await desk.claim_one()).fail(State.FAILED, Problem("no_credentials", "gone"))
    await outbox.write_messages(100)
    assert (await get(store)).type == "video.failed"
