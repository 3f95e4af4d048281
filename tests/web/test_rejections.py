"""service/web/rejections.py: what was refused, why, and sending it again."""

from base64 import b64encode
from typing import Any

import pytest
from httpx2 import AsyncClient

from service.contracts.problems import Code, FieldError, problem, reject
from service.contracts.replies import CommandReply, CommandUnansweredError, Outcome
from service.web.rejections import readable
from tests.api import scripted
from tests.api.scripted import ID, REJECTION, ScriptedCommands, ScriptedQueries
from tests.web.served import HOSTILE, Page, serving

PLACE = "/rejections/3:1207"


async def opened(path: str, queries: ScriptedQueries | None = None) -> Page:
    async with serving(queries) as http:
        return checked((await http.get(path)).text)


async def sent_again(http: AsyncClient, status: int = 200) -> Page:
    response = await http.post(PLACE, headers={"Content-Type": "application/x-www-form-urlencoded"})
    assert response.status_code == status, response.text
    return checked(response.text)


def checked(source: str) -> Page:
    page = Page(source)
    page.check_safety()
    return page


def refusing(monkeypatch: pytest.MonkeyPatch, **record: Any) -> None:
    assert REJECTION.record
    changed = REJECTION.model_copy(update={"record": REJECTION.record.model_copy(update=record)})
    monkeypatch.setattr(scripted, "REJECTION", changed)


async def test_the_list_takes_the_filters_of_the_api_and_leads_on() -> None:
    queries = ScriptedQueries()
    page = await opened("/rejections?code=invalid_command&commandType=&rejectedFrom=24h", queries)

    assert {"code", "rejected_from"} == queries.asked[0].keys()
    assert PLACE in page.links
    (more,) = [link for link in page.links if "cursor=" in link]
    assert more == "/rejections?cursor=1%3A3%3A1207&code=invalid_command&rejectedFrom=24h"


async def test_a_refusal_says_why_and_shows_the_record() -> None:
    page = await opened(PLACE)

    for words in ("not what it must be", "#/taskId missing", "ce_type ExecuteTask", "/airflow", "11 bytes"):
        assert words in page.text
    assert "00000000 7b 22 61 22 3a 20 22 1b ff" in page.text


def test_bytes_that_are_no_text_are_dumped() -> None:
    assert readable("grün".encode()) == "grün"
    assert readable(b"\x00\xffab" + bytes(range(16))).splitlines() == [
        "00000000  00 ff 61 62 00 01 02 03 04 05 06 07 08 09 0a 0b  ..ab............",
        "00000010  0c 0d 0e 0f                                      ....",
    ]


async def test_the_value_can_be_downloaded_and_is_nothing_that_a_browser_opens() -> None:
    async with serving() as http:
        response = await http.get(f"{PLACE}/value")

    assert response.content == b'{"a": "\x1b\xff"}'
    assert response.headers["content-type"] == "application/octet-stream"
    assert response.headers["content-disposition"].startswith("attachment")


async def test_it_is_sent_again_as_it_was_and_the_reply_is_shown() -> None:
    commands = ScriptedCommands()
    async with serving(commands=commands) as http:
        page = await sent_again(http)

    ((key, value, headers),) = commands.records
    assert (key, value) == (None, b'{"a": "\x1b\xff"}')
    assert ("ce_type", b"ExecuteTask") in headers
    assert "Sent again, and accepted." in page.text
    assert f"/executions/{ID}?minPosition=3:1207" in page.links


async def test_what_is_refused_again_says_why_now() -> None:
    why = problem(Code.INVALID_INPUTS, "See errors.", (FieldError(pointer="#/inputs/day", detail="must match"),))
    async with serving(commands=ScriptedCommands(CommandReply(outcome=Outcome.REJECTED, problem=why))) as http:
        page = await sent_again(http, 422)

    assert "Sent again, and refused again." in page.text
    assert "#/inputs/day must match" in page.text


async def test_without_an_answer_it_can_be_sent_again() -> None:
    async with serving(commands=ScriptedCommands(CommandUnansweredError("No reply came within 30 s"))) as http:
        page = await sent_again(http, 503)

    assert "nothing is done twice" in page.text


async def test_what_is_not_kept_whole_has_no_button_and_is_not_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    refusing(monkeypatch, value=None, value_head="eA==", value_size=2_000_000)
    commands = ScriptedCommands()
    async with serving(commands=commands) as http:
        page = checked((await http.get(PLACE)).text)
        await sent_again(http, 422)

    assert "It cannot be sent again." in page.text
    assert not page.of("form")
    assert commands.records == []


async def test_one_that_there_is_not_is_a_page_that_says_so() -> None:
    queries = ScriptedQueries(error=reject(Code.NOT_FOUND, "No refused command is at 3:1207."))

    assert "No refused command is at 3:1207." in (await opened(PLACE, queries)).text


async def test_whatever_a_record_holds_is_text(monkeypatch: pytest.MonkeyPatch) -> None:
    refusing(monkeypatch, value=b64encode(HOSTILE.encode()).decode(), key=b64encode(HOSTILE[:99].encode()).decode())
    page = await opened(PLACE)

    assert "<script>alert(1)</script>" in page.text
    assert "Its beginning." in page.text
