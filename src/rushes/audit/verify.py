"""Goes over the whole chain, and says which entries were changed, removed or added by hand."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from rushes.audit.chain import FIRST, hash_of
from rushes.audit.entry import entry_from
from rushes.audit.store import CUT_ACTION, AuditStore, Place

MOST_FAULTS = 100
"""How many faults are named; one that is removed by hand may make many."""


@dataclass(slots=True)
class Verified:
    """What was found. `faults` is empty for a log that holds; `head` is worth keeping elsewhere, for `expected`."""

    entries: int
    checkpoint: Place
    head: Place
    faults: list[str] = field(default_factory=list)


async def verify(store: AuditStore, expected: Place | None = None) -> Verified:
    """Verify the log from its checkpoint to the entry that is the newest now.

    `expected` is a place that an earlier run has named: the chain must still go through it. Only that finds a log whose
    newest entries were all replaced. Raises DatabaseUnavailable.
    """
    head = await store.head()
    while True:
        checkpoint = await store.checkpoint()
        found = await _walk(store, checkpoint, head, expected)
        # Retention may have cut the beginning meanwhile.
        if await store.checkpoint() == checkpoint:
            return found


async def _walk(store: AuditStore, checkpoint: Place, head: Place, expected: Place | None) -> Verified:
    found = Verified(0, checkpoint, head)
    place = checkpoint
    attested: Mapping[str, Any] | None = None
    is_through = expected is None or expected in (checkpoint, Place(0, FIRST))
    last = checkpoint
    while len(found.faults) < MOST_FAULTS and (rows := await store.rows_after(place.seq)):
        for row in rows:
            entry = entry_from(row)
            if entry.seq > head.seq:
                break
            if entry.seq != last.seq + 1:
                found.faults.append(f"{_missing(last.seq + 1, entry.seq - 1)} before entry {entry.seq}")
            elif row["hash"] != hash_of(last.hash, row):
                found.faults.append(f"entry {entry.seq} was changed, or the one before it was replaced")
            if entry.action == CUT_ACTION:
                attested = entry.after
            last = Place(entry.seq, entry.hash)
            is_through = is_through or last == expected
            found.entries += 1
        place = Place(rows[-1]["seq"], "")
        if place.seq >= head.seq:
            break
    if len(found.faults) < MOST_FAULTS:
        found.faults += await _faults_at_the_ends(store, checkpoint, attested, last, head)
        if not is_through and expected is not None:
            cut = " (it is older than what retention has kept)" if expected.seq < checkpoint.seq else ""
            found.faults.append(f"entry {expected.seq} does not have the hash that was expected{cut}")
    return found


async def _faults_at_the_ends(
    store: AuditStore, checkpoint: Place, attested: Mapping[str, Any] | None, last: Place, head: Place
) -> list[str]:
    faults = []
    if checkpoint.seq and (attested is None or (attested.get("up_to"), attested.get("hash")) != _pair(checkpoint)):
        faults.append(f"no entry attests that everything up to entry {checkpoint.seq} was cut by retention")
    if last.seq < head.seq:
        faults.append(f"{_missing(last.seq + 1, head.seq)} at the end")
    elif last.hash != head.hash:
        faults.append(f"the newest entry, {last.seq}, is not the one that was written last")
    now = await store.head()
    beyond = await store.rows_after(max(head.seq, now.seq), 1)
    if beyond:
        faults.append(f"entry {beyond[0]['seq']} was added behind the newest, {now.seq}")
    return faults


def _pair(place: Place) -> tuple[int, str]:
    return place.seq, place.hash


def _missing(first: int, last: int) -> str:
    return f"entry {first} is missing" if first == last else f"entries {first} to {last} are missing"
