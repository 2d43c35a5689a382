"""The second factor of who proved the password: its code, taken once."""

from __future__ import annotations

from core.domain.events import EventType
from core.domain.people import LocalAccount, hash_recovery_code, lock_after
from core.domain.tenants import User
from core.errors import CodeWrong
from core.usecases.shared.people import Caller, tell
from core.usecases.shared.signing_in import factor_context, known_device, tell_wrong
from ports.clock import Clock
from ports.one_time_codes import OneTimeCodes
from ports.people import PeopleStorage
from ports.secrets import SecretBox
from ports.storage import UnitOfWork


def take_code(
    user: User,
    account: LocalAccount,
    code: str,
    caller: Caller,
    *,
    codes: OneTimeCodes,
    people: PeopleStorage,
    secrets: SecretBox,
    uow: UnitOfWork,
    clock: Clock,
) -> None:
    """Uses the code up. Raises `CodeWrong`, which counts as a wrong password does, and on the same: before the code is
    looked at, so that who tries many at once has no more tries than who tries them in turn."""
    now, typed = clock.now(), code.strip()
    device = known_device(account, caller, now, people)
    counted, on = device or account, device.id if device else None
    failures, until = counted.failures + 1, lock_after(counted.failures + 1, now)
    if account.second_factor is None or counted.locked(now):
        failures, until = counted.failures, None
    elif people.begin_attempt(user.id, counted.failures, until, device=on):
        step = codes.step(secrets.open(account.second_factor, factor_context(user.id)), typed, now)
        recovered = step is None and people.use_recovery(user.id, hash_recovery_code(typed))
        if recovered or (step is not None and people.use_step(user.id, step)):
            people.forget_failures(user.id, device=on)
            if recovered:
                payload = {"left": len(account.recovery) - 1}
                tell(EventType.RECOVERY_CODE_USED, user, people.belongings(user.id), caller, payload, uow=uow)
            return
    else:
        until = None  # it is told of the one that came between
    tell_wrong(account, device, caller, "second factor", failures, until, people=people, uow=uow)
    raise CodeWrong
