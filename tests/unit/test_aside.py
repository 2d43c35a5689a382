"""Jobs that wait for others run beside a process's other work, so many at once."""

from __future__ import annotations

from threading import Event

from entrypoints.worker.aside import Aside

SECONDS = 10.0


def test_so_many_run_at_once_and_who_asks_never_waits() -> None:
    aside, begun, go_on = Aside(2), [Event() for _ in range(3)], Event()

    def hangs(number: int) -> bool:
        def job() -> None:
            begun[number].set()
            go_on.wait(SECONDS)

        return aside.run(job)

    assert [hangs(0), hangs(1), hangs(2)] == [True, True, False]
    assert begun[0].wait(SECONDS)
    assert begun[1].wait(SECONDS)
    go_on.set()
    aside.close()
    assert not begun[2].is_set()


def test_who_ends_or_fails_makes_room() -> None:
    aside, done = Aside(1), Event()

    def fails() -> None:
        raise RuntimeError

    assert aside.run(fails)
    while not aside.run(done.set):
        pass
    assert done.wait(SECONDS)
    aside.close()
