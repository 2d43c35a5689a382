"""Sealed secrets: each box opens what it sealed, where it belongs, and nothing else."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from adapters.memory.secrets import MemorySecretBox, MemoryVault
from adapters.secrets.box import AesSecretBox
from core.errors import SecretUnreadable
from ports.secrets import SecretBox

MakeBox = Callable[..., SecretBox]
SEALED_BY_0_4 = bytes.fromhex(
    "01da3971d6fbbed82d4157e33933e23a00e495c32d52aa89cbb4779d94cbf4259e7e8b2f342ceef538bf39445eac1dd7874c52df500ec82178a1"
)
"""By the key "present", for "tenant/connection/config"."""


@pytest.fixture(params=["memory", "aes"])
def make_box(request: pytest.FixtureRequest) -> MakeBox:
    vault = MemoryVault()

    def make(key: str = "present", former: Sequence[str] = ()) -> SecretBox:
        return AesSecretBox(key, former) if request.param == "aes" else MemorySecretBox(key, former, vault)

    return make


@given(plain=st.binary(max_size=200), bound_to=st.text(st.characters(exclude_categories=["Cs"]), max_size=50))
@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_what_is_sealed_opens_where_it_belongs(make_box: MakeBox, plain: bytes, bound_to: str) -> None:
    sealed = make_box().seal(plain, bound_to)
    assert make_box().open(sealed, bound_to) == plain
    with pytest.raises(SecretUnreadable):
        make_box().open(sealed, bound_to + "x")


def test_equal_secrets_are_sealed_differently_and_begin_with_the_prefix(make_box: MakeBox) -> None:
    box = make_box()
    first, second = box.seal(b"canary-secret", "a"), box.seal(b"canary-secret", "a")
    assert first != second
    assert first.startswith(box.prefix)
    assert second.startswith(box.prefix)
    assert b"canary" not in first
    assert "canary" not in repr(box)
    assert box.prefix == make_box().prefix != make_box("another").prefix


def test_a_former_key_opens_and_does_not_seal(make_box: MakeBox) -> None:
    old = make_box("old").seal(b"x", "a")
    box = make_box("new", ["older", "old"])
    assert box.open(old, "a") == b"x"
    assert not old.startswith(box.prefix)
    assert box.seal(b"x", "a").startswith(make_box("new").prefix)
    with pytest.raises(SecretUnreadable):
        make_box("new").open(old, "a")


def test_what_is_sealed_anew_says_the_same_and_needs_no_former_key(make_box: MakeBox) -> None:
    old = make_box("old").seal(b"canary-secret", "a")
    both = make_box("new", ["old"])
    anew = both.reseal(old, "a")
    assert anew.startswith(make_box("new").prefix)
    assert make_box("new").open(anew, "a") == b"canary-secret"
    assert make_box("new").open(both.reseal(anew, "a"), "a") == b"canary-secret"
    for box, bound_to in ((both, "b"), (make_box("new"), "a")):
        with pytest.raises(SecretUnreadable):
            box.reseal(old, bound_to)


def test_a_key_is_called_by_a_name_that_tells_nothing_of_it(make_box: MakeBox) -> None:
    assert make_box("new", ["old"]).key_name == make_box("new").key_name != make_box("old").key_name
    assert bytes.fromhex(make_box().key_name) in make_box().prefix


@pytest.mark.parametrize("garbage", [b"", b"\x01", b"plain text", b"\x00" * 64])
def test_garbage_does_not_open(make_box: MakeBox, garbage: bytes) -> None:
    with pytest.raises(SecretUnreadable):
        make_box().open(garbage, "a")


def test_a_changed_byte_anywhere_does_not_open(make_box: MakeBox) -> None:
    sealed = make_box().seal(b"a secret", "a")
    for place in range(len(sealed)):
        changed = bytearray(sealed)
        changed[place] ^= 1
        with pytest.raises(SecretUnreadable):
            make_box().open(bytes(changed), "a")
    with pytest.raises(SecretUnreadable):
        make_box().open(sealed[:-1], "a")


def test_the_envelope_of_one_value_opens_no_other() -> None:
    box = AesSecretBox("present")
    first, second = box.seal(b"first", "a"), box.seal(b"second", "a")
    wrapped = len(box.prefix) + 60
    with pytest.raises(SecretUnreadable):
        box.open(first[:wrapped] + second[wrapped:], "a")


def test_another_key_means_another_wrapping_alone() -> None:
    old = AesSecretBox("old").seal(b"a secret", "a")
    new = AesSecretBox("new", ["old"]).reseal(old, "a")
    wrapped = len(AesSecretBox("old").prefix) + 60
    assert old[wrapped:] == new[wrapped:]
    assert old[:wrapped] != new[:wrapped]


def test_values_that_a_release_before_sealed_open_and_become_envelopes() -> None:
    box = AesSecretBox("present")
    assert box.open(SEALED_BY_0_4, "tenant/connection/config") == b"from a release before"
    anew = box.reseal(SEALED_BY_0_4, "tenant/connection/config")
    assert not SEALED_BY_0_4.startswith(box.prefix)
    assert anew.startswith(box.prefix)
    assert box.open(anew, "tenant/connection/config") == b"from a release before"
    with pytest.raises(SecretUnreadable):
        box.open(SEALED_BY_0_4, "tenant/another/config")
    with pytest.raises(SecretUnreadable):
        AesSecretBox("another").open(SEALED_BY_0_4, "tenant/connection/config")
