"""What becomes of each statement of a folder: `python -m benchmarks.statements FOLDER`.

For every file: the connector that takes it for its own, drafts and refusals, whether two reads give equal and distinct
ids, and whether opening + sum = closing; or the one typed error.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from core.domain.plugins import Statement
from core.domain.records import Draft, Refusal, check_draft, identify
from core.errors import Invalid, UnknownFormat, UnreadableFile
from plugins.manager import PluginManager
from ports.connectors import Context, ReadRequest

SAMPLE_BYTES = 1 << 16


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What a file gave, or the error."""

    connector: str = ""
    drafts: Sequence[Draft] = ()
    refusals: Sequence[Refusal] = ()
    statements: Sequence[Statement] = ()
    error: str = ""

    @property
    def ids(self) -> list[tuple[str, str | None]]:
        return [(draft.account, draft.external_id) for draft in self.drafts]

    @property
    def balances(self) -> str:
        """`=` for each statement that adds up, the gap of one that doesn't; nothing where a balance is unknown."""
        known = [statement for statement in self.statements if statement.gap is not None]
        gaps = [f"gap {s.gap:f} {s.currency}" for s in known if s.gap]
        equal = len(known) - len(gaps)
        return ", ".join([*([f"{equal} of {len(known)} add up"] if known else ["no balance to compare"]), *gaps])


def read(host: PluginManager, file: Path, currency: str = "EUR") -> Outcome:
    """Reads a file as an import does."""
    key = ""
    try:
        with file.open("rb") as opened:
            key = host.detect(opened.read(SAMPLE_BYTES), file.name)
            opened.seek(0)
            request = ReadRequest(file=opened, filename=file.name)
            batches = list(host.connector(key).read(Context(default_currency=currency), request))
    except (UnknownFormat, UnreadableFile) as error:
        return Outcome(connector=key, error=f"{type(error).__name__}: {str(error).split('; understood')[0]}")
    drafts: list[Draft] = []
    refusals = [refusal for batch in batches for refusal in batch.refusals]
    for position, draft in enumerate((draft for batch in batches for draft in batch.drafts), start=1):
        try:
            drafts.append(check_draft(draft))
        except Invalid as error:
            refusals.append(Refusal(position=position, reason=str(error)))
    return Outcome(
        connector=key,
        drafts=list(identify(drafts)),
        refusals=refusals,
        statements=[statement for batch in batches for statement in batch.statements],
    )


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("folder", type=Path)
    options.add_argument("--currency", default="EUR", help="of amounts that name none")
    given = options.parse_args()
    host = PluginManager()
    faults = 0
    print(f"{'file':54} {'connector':9} {'drafts':>6} {'refused':>7} {'ids':9} balances, or the error")
    for file in sorted(path for path in given.folder.rglob("*") if path.is_file()):
        first, second = (read(host, file, given.currency) for _ in range(2))
        name = str(file.relative_to(given.folder))[-54:]
        if first.error:
            print(f"{name:54} {first.connector or '-':9} {first.error}")
            continue
        ids = "unequal" if first.ids != second.ids else "repeated" if len({*first.ids}) < len(first.ids) else "ok"
        faults += ids != "ok"
        print(
            f"{name:54} {first.connector:9} {len(first.drafts):6} {len(first.refusals):7} "
            f"{ids if first.drafts else '-':9} {first.balances}"
        )
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
