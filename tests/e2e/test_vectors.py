"""A tenant with many examples, in the running service: the command moves its vectors, and the relay may too."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg
import pytest

from adapters.postgres.vector_tables import SHARED
from tests.stack import ROOT, Stack, running_stack

pytestmark = pytest.mark.slow
MANY = 20_001


def command(stack: Stack, *arguments: str) -> list[dict[str, Any]]:
    done = subprocess.run(
        [sys.executable, "-m", "entrypoints.cli", "vectors", "--json", *arguments],
        cwd=ROOT,
        env=stack.environment,
        capture_output=True,
        check=True,
    )
    found: list[dict[str, Any]] = json.loads(done.stdout)
    return found


def learn_much(stack: Stack) -> None:
    """Examples and their vectors, as if approved and embedded."""
    asked = {"tenant": UUID(stack.tenant_id), "many": MANY, "shared": SHARED}
    with psycopg.connect(stack.services()["app_database_url"]) as connection:
        connection.execute("SELECT set_config('app.tenant_id', %s, true)", [stack.tenant_id])
        connection.execute("INSERT INTO vector_homes VALUES (%(tenant)s, %(shared)s, now(), 'm1')", asked)
        connection.execute(
            "INSERT INTO examples (tenant_id, id, text, text_digest, category_id, created_at)"
            " SELECT %(tenant)s, gen_random_uuid(), 'text ' || n, '', (SELECT id FROM categories LIMIT 1), now()"
            " FROM generate_series(1, %(many)s) AS n",
            asked,
        )
        connection.execute(
            "INSERT INTO example_vectors (tenant_id, example_id, model, home, embedding)"
            " SELECT %(tenant)s, id, 'm1', %(shared)s,"
            " (SELECT array_agg(random() - 0.5) FROM generate_series(1, 384) WHERE id IS NOT NULL)::vector"
            " FROM examples",
            asked,
        )


def test_the_command_gives_a_large_tenant_a_home_of_its_own(tmp_path: Path) -> None:
    with running_stack(tmp_path / "data", SORTATION_EMBEDDINGS="off") as stack:
        stack.new_tenant()
        assert command(stack) == []
        learn_much(stack)
        home = {"tenant_id": stack.tenant_id, "vectors": MANY}
        assert command(stack, "--dry-run") == [home | {"own": False, "moved": None}]
        (told,) = command(stack)
        assert told["own"]
        assert told["moved"]["vectors"] == MANY
        assert command(stack) == [home | {"own": True, "moved": None}]
        assert stack.query("SELECT home::text FROM vector_homes") == [(stack.tenant_id,)]
