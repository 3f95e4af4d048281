"""One action on all executions that fit: what is to be done is shown and fixed first, then done in pieces."""

import sys
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import typer

from service.cli.exits import CommandError, Exit
from service.cli.journal import Journal, journal_path
from service.cli.output import Output, Table, write_note
from service.cli.remote import Remote, path_of
from service.cli.show import executions_table

_PAGE: Final = 1_000
_CHUNK: Final = 200
_SHOWN: Final = 10
_OUTCOMES: Final = ("accepted", "duplicate", "rejected", "unanswered")


@dataclass(frozen=True, slots=True)
class Bulk:
    """The action, and what goes with it (`more`), on the executions at `remote` that fit."""

    action: str
    more: Mapping[str, Any]
    remote: Remote
    out: Output

    def show(self, filters: Mapping[str, Any]) -> None:
        """Print which would be acted on."""
        ids, answer = self._matching(filters, first_page=True)
        self._show(ids, answer["matched"], answer)
        write_note(f"{answer['matched']} executions fit; nothing was sent.")

    def act(self, filters: Mapping[str, Any], key: str | None, journal: Path | None, *, yes: bool) -> None:
        """Find, show, ask, fix, do.

        Raises:
            CommandError: nobody agreed, or not all was done.
        """
        ids, answer = self._matching(filters, first_page=False)
        if not ids:
            write_note(f"No execution fits of which {self.action} is possible; nothing was sent.")
            return
        if not yes:
            self._agree(ids)
        from uuid_utils import uuid7  # noqa: PLC0415 - seldom needed

        key = key or str(uuid7())
        more = {name: value for name, value in self.more.items() if value is not None}
        head = {"action": self.action, "url": self.remote.url, "key": key, "filter": filters, "more": more}
        path = journal or journal_path(self.action, key)
        self.carry_out(Journal.create(path.resolve(), head | {"asOf": answer.get("asOf")}, ids))

    def carry_out(self, journal: Journal) -> None:
        """Do what is left, and print what became of all.

        Raises:
            CommandError: something was refused (exit code 1), or is not known (3).
        """
        from service.cli.progress import steps  # noqa: PLC0415 - only what draws bars pays for it

        resume = f"taskexec {self.action} --resume {journal.path}"
        write_note(f"Journal: {journal.path}\nIf this is interrupted, go on with: {resume}")
        left = journal.left
        with journal.writing(), steps() as tell:
            for begin in range(0, len(left), _CHUNK):
                body = {"action": self.action, "executionIds": left[begin : begin + _CHUNK], **journal.head["more"]}
                try:
                    answer = self.remote.post(path_of("actions"), body, journal.head["key"]).body
                except CommandError as error:
                    raise CommandError(error.exit_code, *error.lines, f"Go on with: {resume}") from None
                journal.add(answer["items"])
                tell(self.action, len(journal.ids) - len(left) + begin + len(body["executionIds"]), len(journal.ids))
        self._report(journal, resume)

    def _matching(self, filters: Mapping[str, Any], *, first_page: bool) -> tuple[list[str], dict[str, Any]]:
        """The ids, newest first, of all or of the first page, and what the first page said of them."""
        body = {"action": self.action, "filter": filters, "dryRun": True, "limit": _PAGE}
        page = first = self.remote.post(path_of("actions"), body, None).body
        ids = [*page["executionIds"]]
        while not first_page and page.get("nextCursor"):
            page = self.remote.post(path_of("actions"), body | {"cursor": page["nextCursor"]}, None).body
            ids += page["executionIds"]
        return [*dict.fromkeys(ids)], first

    def _agree(self, ids: list[str]) -> None:
        if not _asks():
            raise CommandError(Exit.USAGE, f"{len(ids)} executions fit. There is no terminal to ask: give --yes.")
        self._show(ids, len(ids), None)
        typer.confirm(f"{self.action} {len(ids)} executions at {self.remote.url}?", abort=True, err=True)

    def _show(self, ids: list[str], count: int, answer: Mapping[str, Any] | None) -> None:
        """The first ones, for people; or what the service said."""
        out = self.out if answer is not None else Output()
        rows = [self.remote.get(path_of(id_)).body for id_ in ids[:_SHOWN]]
        if out.write(answer, lambda: executions_table(rows, out)) and count > len(rows):
            write_note(f"and {count - len(rows)} more")

    def _report(self, journal: Journal, resume: str) -> None:
        items = [journal.items[id_] for id_ in journal.ids if id_ in journal.items]
        counts = Counter(item["outcome"] for item in items)
        codes = Counter(item["problem"]["code"] for item in items if "problem" in item)
        why = ", ".join(f"{code} {count}" for code, count in codes.most_common()) or None
        rows = [(name, counts[name], why if name == "rejected" else None) for name in _OUTCOMES]
        document = {"journal": str(journal.path), **{name: counts[name] for name in _OUTCOMES}, "items": items}
        self.out.write(
            document,
            lambda: Table(("EXECUTION ID", "OUTCOME", "STATUS", "NEW EXECUTION ID", "CODE"), map(_row, items)),
            lambda: self.out.table(Table(("OUTCOME", "EXECUTIONS", "WHY"), rows)),
        )
        if unanswered := counts["unanswered"]:
            raise CommandError(
                Exit.UNAVAILABLE, f"Of {unanswered} it is not known what became of them. Go on with: {resume}"
            )
        if refused := counts["rejected"]:
            raise CommandError(Exit.REFUSED, f"{refused} were refused; {journal.path} says why.")


def _asks() -> bool:
    """Whether there is somebody to ask."""
    return sys.stdin.isatty()


def _row(item: Mapping[str, Any]) -> tuple[object, ...]:
    code = item.get("problem", {}).get("code")
    return item["executionId"], item["outcome"], item.get("status"), item.get("newExecutionId"), code
