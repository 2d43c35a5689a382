"""Engines that outlive a test. One that is made for each would compile the same statements again and again, which takes
longer than most tests need to ask them."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from sqlalchemy import Engine, event
from sqlalchemy.engine import make_url

from adapters.postgres.engine import create
from adapters.postgres.migrate import APP_ROLE
from tests.scoping import watch

Kind = tuple[object, ...]


class SharedEngines:
    """Each is one test's at a time, connects to the database that this test has, and leaves no connection behind."""

    def __init__(self) -> None:
        self._free: dict[Kind, list[Engine]] = defaultdict(list)
        self._taken: list[tuple[Kind, Engine]] = []
        self._faults: dict[Engine, list[str]] = {}

    def take(self, url: str, **options: Any) -> Engine:
        """As `adapters.postgres.engine.create`."""
        kind = (make_url(url).set(database=""), *sorted(options.items()))
        engine = self._free[kind].pop() if self._free[kind] else self._made(url, options)
        engine.url = engine.url.set(database=make_url(url).database)
        self._taken.append((kind, engine))
        return engine

    def give_back(self) -> list[str]:
        """What the test's engines were asked out of scope."""
        faults = []
        for kind, engine in self._taken:
            engine.dispose()
            faults += self._faults[engine]
            self._faults[engine].clear()
            self._free[kind].append(engine)
        self._taken.clear()
        return faults

    def _made(self, url: str, options: dict[str, Any]) -> Engine:
        engine = create(url, **options)
        self._faults[engine] = watch(engine) if make_url(url).username == APP_ROLE else []

        @event.listens_for(engine, "do_connect")
        def to_its_database(_dialect: Any, _record: Any, _args: Any, parameters: dict[str, Any]) -> None:
            parameters["dbname"] = engine.url.database

        return engine
