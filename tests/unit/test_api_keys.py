from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.domain.api_keys import ENTROPY_BYTES, hash_secret, make_key, read_key, write_key
from core.errors import Unauthenticated


@given(st.binary(min_size=ENTROPY_BYTES, max_size=ENTROPY_BYTES))
def test_a_key_that_was_written_is_read(entropy: bytes) -> None:
    key_id, secret = make_key(entropy)
    written = write_key(key_id, secret)
    assert written.startswith("sort_live_")
    assert read_key(written) == (key_id, secret)


def test_different_entropy_gives_different_ids_and_secrets() -> None:
    made = {make_key(n.to_bytes(ENTROPY_BYTES, "little")) for n in range(1000)}
    assert len(made) == 1000


@given(st.integers(0, 59), st.characters(min_codepoint=48, max_codepoint=122))
def test_one_wrong_character_is_noticed(at: int, char: str) -> None:
    key = write_key(*make_key(bytes(range(ENTROPY_BYTES))))
    changed = key[:at] + char + key[at + 1 :]
    if changed != key:
        with pytest.raises(Unauthenticated):
            read_key(changed)


@pytest.mark.parametrize("text", ["", "sort_live_", "Bearer x", "sort_live_" + "a" * 51, "sort_live_é" + "a" * 50])
def test_what_is_no_key_is_refused(text: str) -> None:
    with pytest.raises(Unauthenticated):
        read_key(text)


def test_the_hash_is_not_the_secret() -> None:
    _, secret = make_key(bytes(range(ENTROPY_BYTES)))
    assert len(hash_secret(secret)) == 32
    assert secret.encode() not in hash_secret(secret)
