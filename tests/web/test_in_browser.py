"""Overview, tasks, definitions and rejections in a browser: its console is silent, and nothing is clipped."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager, nullcontext
from typing import Any

import pytest
from axe_playwright_python.async_playwright import Axe  # type: ignore[import-untyped]  # it has no annotations
from playwright.async_api import Browser, Page, expect

from service.api.app import create_app
from service.contracts.commands import StopTaskExecution
from service.contracts.problems import Code, FieldError, problem, reject
from service.contracts.replies import CommandReply, Outcome
from service.ports.live import FollowTaskExecutions
from service.ports.read_model import Grouping
from service.queries.answers import TaskExecutionPage, TaskExecutionStats
from service.queries.requests import ListTaskExecutions
from service.runtime.http import serving_api
from service.settings import Settings
from service.web.routes import all_pages
from tests.api.scripted import (
    COUNTS,
    DEFINITION,
    FAILURE,
    GROUP,
    ID,
    INBOX,
    RUNNING,
    ScriptedCommands,
    ScriptedDefinitions,
    ScriptedQueries,
)
from tests.web.served import HOSTILE

PLACES = (
    "/executions",
    f"/executions/{ID}",
    f"/executions/{ID}/again",
    "/",
    "/tasks",
    "/tasks/a:b",
    "/definitions",
    "/definitions/sales:daily_report",
    "/rejections",
    "/rejections/3:7",
    "/nonsense",
)
FORM = "/definitions/sales:daily_report/1.2.0"
TIMES = {"p50": 100, "p90": 200, "p95": 1500, "p99": 4000}
LONG = "x" * 120


class Queries(ScriptedQueries):
    async def stats(self, task_id: str | None = None, **given: Any) -> TaskExecutionStats:
        found = await super().stats(task_id, **given)
        if given.get("group_by") is not Grouping.TASK_VERSION or found.groups is None:
            return found
        versions = (group.model_copy(update={"key": f"1.{minor}.0"}) for minor, group in enumerate(found.groups))
        return found.model_copy(update={"groups": tuple(versions)})


class OnePage(ScriptedQueries):
    async def list(self, request: ListTaskExecutions) -> TaskExecutionPage:
        found = await super().list(request)
        return found.model_copy(update={"next_cursor": None, "items": found.items[:1]})


IDS = [f"0f2c1d9e-7b0a-5a64-9c3b-2f6b1c0d9e{number:02}" for number in range(5)]


class Several(ScriptedQueries):
    """A list of five, of which the first ones leave when `gone` says so."""

    gone = 0

    async def list(self, request: ListTaskExecutions) -> TaskExecutionPage:
        found = await super().list(request)
        items = [found.items[1].model_copy(update={"id": id_}) for id_ in IDS[self.gone :]]
        return found.model_copy(update={"items": tuple(items)})


class Live:
    """Tells what a test puts there."""

    def __init__(self) -> None:
        self.told: asyncio.Queue[bytes] = asyncio.Queue()
        self.readers = 0
        self.wanted: list[FollowTaskExecutions] = []

    async def follow(self, wanted: FollowTaskExecutions) -> AsyncGenerator[bytes, None]:
        self.wanted.append(wanted)

        async def pieces() -> AsyncGenerator[bytes, None]:
            self.readers += 1
            yield b"retry: 100\n\n"
            while piece := await self.told.get():
                yield piece

        return pieces()

    def happens(self, type_: str, position: str = "0:4") -> None:
        told = f'{{"executionId": "{ID}", "position": "{position}"}}'
        self.told.put_nowait(f"event: {type_}\nid: 0:5,1:8\ndata: {told}\n\n".encode())


@asynccontextmanager
async def shown(  # noqa: PLR0913 - what a test may choose
    browser: Browser,
    commands: ScriptedCommands | None = None,
    width: int = 1280,
    scheme: Any = "light",
    *,
    live: Live | None = None,
    queries: ScriptedQueries | None = None,
    scripts: bool = True,
) -> AsyncIterator[tuple[Page, str]]:
    groups = [
        {"key": key, "total": 21, "successRate": 0.5, "runTime": TIMES} | COUNTS for key in (f"{LONG}:{LONG}", "a:b")
    ]
    queries = queries or Queries(
        statistics={"groups": groups, "queueTime": TIMES, "runTime": TIMES, "successRate": 0.5}
    )
    text = {
        "name": "note",
        "type": "string",
        "required": False,
        "defaultValue": HOSTILE[:5_000],
        "description": HOSTILE,
    }
    definitions = ScriptedDefinitions(DEFINITION | {"inputVariables": [*DEFINITION["inputVariables"], text]})
    commands = commands or ScriptedCommands()
    live = live or Live()
    app = create_app(commands, queries, {}, live=live, pages=all_pages(queries, commands, definitions))
    said: list[str] = []
    async with serving_api(Settings(http_port=0), app) as (_, url):
        page = await browser.new_page(
            viewport={"width": width, "height": 900}, color_scheme=scheme, java_script_enabled=scripts
        )
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        yield page, url
        await page.close()
        live.told.put_nowait(b"")
    refused = ("404", "422", "503", "ERR_FAILED", "ERR_INCOMPLETE_CHUNKED_ENCODING")  # what a test asks for
    assert [text for text in said if not any(word in text for word in refused)] == []


@pytest.mark.parametrize(("width", "scheme"), [(390, "light"), (1280, "dark")])
async def test_everybody_can_read_it_and_nothing_is_clipped(
    browser: Browser, monkeypatch: pytest.MonkeyPatch, width: int, scheme: str
) -> None:
    monkeypatch.setitem(GROUP, "fingerprint", HOSTILE[:200])
    monkeypatch.setitem(INBOX, "fingerprint", HOSTILE[:200])
    async with shown(browser, width=width, scheme=scheme) as (page, url):
        for place in PLACES:
            await page.goto(url + place)
            found = await Axe().run(page)
            assert found.response["violations"] == [], place
            assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth"), place


async def test_the_overview_refreshes_itself_and_leaves_the_rest_alone(browser: Browser) -> None:
    async with shown(browser) as (page, url):
        await page.goto(url)
        await page.evaluate("document.querySelector('h1').dataset.mark = 1")
        await page.evaluate("document.querySelector('.tile b').textContent = 'old'")
        await page.evaluate("document.querySelector('[data-refresh]').dataset.refresh = 0")

        await expect(page.locator(".tile b").first).to_have_text("21")
        assert await page.locator("h1").get_attribute("data-mark") == "1"


async def test_whoever_reads_a_table_is_not_disturbed(browser: Browser) -> None:
    async with shown(browser) as (page, url):
        await page.goto(url)
        await page.get_by_text("As a table").first.click()
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        await page.evaluate("document.querySelector('[data-refresh]').dataset.refresh = 0")
        await page.wait_for_timeout(2_500)

        assert asked == []


async def test_a_form_that_is_refused_keeps_what_was_typed_and_says_where(browser: Browser) -> None:
    why = problem(Code.INVALID_INPUTS, "See errors.", (FieldError(pointer="#/inputs/day", detail="must match"),))
    commands = ScriptedCommands(CommandReply(outcome=Outcome.REJECTED, problem=why))
    async with shown(browser, commands) as (page, url):
        await page.goto(url + FORM)
        day = page.get_by_label("day")
        await day.fill("yesterday")
        await page.get_by_role("button", name="Start").click()

        assert await day.input_value() == "yesterday"
        assert await day.get_attribute("aria-invalid") == "true"
        assert await page.locator(".flaw").all_inner_texts() == ["must match"]
        assert len(commands.submitted) == 1


async def test_an_execution_changes_while_it_is_looked_at(browser: Browser) -> None:
    live, queries = Live(), ScriptedQueries(executions=[RUNNING, FAILURE])
    async with shown(browser, live=live, queries=queries) as (page, url):
        await page.goto(f"{url}/executions/{ID}")
        await expect(page.locator("h1 .status")).to_have_text("RUNNING")
        live.happens("TaskExecutionFailed")

        await expect(page.locator("h1 .status")).to_have_text("FAILURE")


async def test_what_is_followed_begins_where_what_is_shown_ends(browser: Browser) -> None:
    live = Live()
    async with shown(browser, live=live) as (page, url):
        for place in ("/executions?tag=nightly", f"/executions/{ID}"):
            async with page.expect_response("**/events?*"):
                await page.goto(url + place)
    assert [one.last_event_id for one in live.wanted] == ["0:5,1:8", "0:5,1:8"]
    assert (live.wanted[0].tag, live.wanted[1].execution_id) == (("nightly",), (ID,))


async def test_a_list_that_still_lacks_what_was_told_is_asked_for_again(browser: Browser) -> None:
    live, queries = Live(), ScriptedQueries()
    async with shown(browser, live=live, queries=queries) as (page, url):
        await page.goto(f"{url}/executions")
        async with page.expect_response("**/executions"):
            live.happens("TaskExecutionCreated", "1:8")
        queries.offsets = [5, 9]
        async with page.expect_response("**/executions"):
            pass
        await page.wait_for_timeout(2_500)
        assert len(queries.asked) == 3


async def test_a_list_whose_read_side_is_far_behind_is_asked_for_now_and_then(browser: Browser) -> None:
    live, queries = Live(), ScriptedQueries(offsets=None)
    async with shown(browser, live=live, queries=queries) as (page, url):
        await page.clock.install()
        await page.goto(f"{url}/executions")
        await page.clock.fast_forward(14_000)
        assert len(queries.asked) == 1
        async with page.expect_response("**/executions"):
            await page.clock.fast_forward(1_500)
    assert [one.last_event_id for one in live.wanted] == [None]


async def test_a_list_that_gets_no_answer_is_asked_for_again_and_says_so(browser: Browser) -> None:
    live, queries = Live(), ScriptedQueries()
    async with shown(browser, live=live, queries=queries) as (page, url):
        await page.goto(f"{url}/executions")
        queries.error = reject(Code.UNAVAILABLE, "ClickHouse does not answer.")
        live.happens("TaskExecutionCreated")
        await expect(page.locator("#live")).to_contain_text("No answer came")
        await expect(page.locator("tr[data-row]")).to_have_count(2)
        queries.error = None
        await expect(page.locator("#live")).to_have_text("", timeout=15_000)


async def test_a_stream_that_is_refused_is_begun_anew(browser: Browser) -> None:
    live = Live()
    async with shown(browser, live=live) as (page, url):
        await page.route("**/events?*", lambda route: route.fulfill(status=422, body="{}"))
        await page.goto(f"{url}/executions")
        await expect(page.locator("#live")).to_contain_text("Reconnecting")
        await page.unroute("**/events?*")
        await expect(page.locator("#live")).to_have_text("", timeout=15_000)
        live.happens("TaskExecutionCreated")
        async with page.expect_response("**/executions"):
            pass


async def test_a_tab_that_nobody_sees_hears_nothing_and_is_brought_up_to_date_when_it_is_seen(browser: Browser) -> None:
    live, queries = Live(), ScriptedQueries()
    async with shown(browser, live=live, queries=queries) as (page, url):
        async with page.expect_response("**/events?*"):
            await page.goto(f"{url}/executions")
        for hidden in ("true", "false"):
            async with page.expect_response("**/events?*") if hidden == "false" else nullcontext():
                await page.evaluate(
                    f"Object.defineProperty(document, 'hidden', {{value: {hidden}, configurable: true}})"
                )
                await page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
        assert (len(live.wanted), len(queries.asked)) == (2, 2)


async def test_a_list_that_somebody_works_in_is_left_alone_until_they_ask(browser: Browser) -> None:
    live, queries = Live(), ScriptedQueries()
    async with shown(browser, live=live, queries=queries) as (page, url):
        await page.goto(f"{url}/executions")
        await page.keyboard.press("j")
        live.happens("TaskExecutionCreated")
        await page.get_by_role("button", name="1 change: show").click()

        await expect(page.get_by_role("button", name="change")).to_have_count(0)
        assert len(queries.asked) == 2


async def test_a_service_that_goes_is_told_and_found_again(browser: Browser) -> None:
    live, queries = Live(), ScriptedQueries()
    async with shown(browser, live=live, queries=queries) as (page, url):
        await page.goto(f"{url}/executions")
        await page.route("**/events?*", lambda route: route.abort())
        live.told.put_nowait(b"")  # the stream ends
        await expect(page.locator("#live")).to_contain_text("Reconnecting")
        await expect(page.locator("tr[data-row]")).to_have_count(2)
        await page.unroute("**/events?*")

        await expect(page.locator("#live")).to_have_text("", timeout=15_000)


async def test_the_keyboard_is_enough(browser: Browser) -> None:
    async with shown(browser) as (page, url):
        await page.goto(f"{url}/executions")
        await page.keyboard.press("/")
        assert await page.evaluate("document.activeElement.name") == "text"
        await page.keyboard.press("Escape")
        await page.keyboard.press("?")
        await expect(page.get_by_role("dialog", name="Keys")).to_be_visible()
        await page.keyboard.press("Escape")
        await expect(page.get_by_role("dialog")).to_have_count(0)
        await page.keyboard.press("j")
        await page.keyboard.press("Enter")
        await page.wait_for_url(f"**/executions/{ID}")
        await page.keyboard.press("r")
        await page.wait_for_url("**/rejections")


async def test_what_is_pressed_is_there_when_it_is_let_go_of(browser: Browser) -> None:
    queries = Queries()
    async with shown(browser, queries=queries) as (page, url):
        await page.goto(f"{url}/executions")
        asked = len(queries.asked)
        await page.get_by_role("link", name="7d").hover()
        await asyncio.sleep(0.5)
        assert len(queries.asked) == asked
        async with page.expect_request(lambda request: request.headers.get("sec-purpose") == "prefetch"):
            await page.mouse.down()
        async with page.expect_navigation(url="**/executions?period=7d"):
            await page.mouse.up()
        delivery = "performance.getEntriesByType('navigation')[0].deliveryType"
        assert await page.evaluate(delivery) == "navigational-prefetch"
        assert len(queries.asked) == asked + 1


async def test_values_are_copied_whole(browser: Browser) -> None:
    async with shown(browser, queries=ScriptedQueries(executions=[FAILURE])) as (page, url):
        await page.context.grant_permissions(["clipboard-read", "clipboard-write"])
        await page.goto(f"{url}/executions/{ID}")
        await page.locator("[data-copy=error-text]").click()

        await expect(page.locator("[data-copy=error-text]")).to_have_text("Copied")
        assert await page.evaluate("navigator.clipboard.readText()") == FAILURE["errorMessage"]


async def test_without_scripts_everything_is_read_filtered_and_stopped(browser: Browser) -> None:
    commands = ScriptedCommands()
    async with shown(browser, commands, scripts=False) as (page, url):
        await page.goto(f"{url}/executions")
        await page.get_by_label("Created by").fill("anna")
        await page.get_by_role("button", name="Show").first.click()
        await page.wait_for_url("**/executions?*createdBy=anna*")
        await page.locator("nav[aria-label='Counts by status']").get_by_text("FAILURE").click()
        await page.wait_for_url("**createdBy=anna&status=FAILURE")
        await page.get_by_title("Remove this filter").first.click()
        await page.locator("tr[data-row] code").last.click()
        await page.wait_for_url(f"**/executions/{ID}")
        await page.get_by_text("Stop…").click()
        await page.get_by_label("Why").fill("superseded")
        await page.get_by_role("button", name="Stop it").click()
        await page.wait_for_url("**minPosition=3%3A1207")

        assert await page.locator(".js:visible").count() == 0
    assert len(commands.submitted) == 1


async def test_all_that_fit_are_stopped_some_at_a_time_and_not_twice(browser: Browser) -> None:
    commands = ScriptedCommands()
    async with shown(browser, commands, queries=OnePage()) as (page, url):
        await page.goto(f"{url}/executions?createdBy=anna")
        asked: list[Any] = []
        page.on("request", lambda sent: asked.append(sent) if sent.url.endswith("/actions") else None)
        async with page.expect_response("**/actions"):
            await page.locator("button[data-action=stop]").click()
        dialog = page.get_by_role("dialog")
        await dialog.get_by_label("Why").fill("superseded")
        async with page.expect_response("**/actions"):
            await dialog.get_by_role("button", name="Stop: ").click()

        await expect(dialog.get_by_role("status")).to_contain_text("accepted")
        found = (await Axe().run(page)).response["violations"]
        assert found == []
    first, *_, last = [one.post_data_json for one in asked]
    assert (first["action"], first["dryRun"], first["filter"]["createdBy"]) == ("stop", True, "anna")
    assert "createdFrom" in first["filter"]
    assert last["reason"] == "superseded"
    assert {one.id.rpartition("/")[2] for one in commands.submitted} == set(last["executionIds"])


async def test_rows_are_selected_by_keys_and_stopped(browser: Browser) -> None:
    commands = ScriptedCommands()
    async with shown(browser, commands, queries=Several()) as (page, url):
        await page.goto(f"{url}/executions")
        await page.keyboard.press("x")  # no row is chosen yet
        await expect(page.locator("#selected")).to_have_text("")
        await page.keyboard.press("?")
        await expect(page.get_by_role("dialog")).to_contain_text("select the row")
        await page.keyboard.press("Escape")
        for key in "jxjjX":
            await page.keyboard.press(key)
        await expect(page.locator("#selected")).to_have_text("3 selected")
        await page.keyboard.press("x")
        await expect(page.locator("#selected")).to_have_text("2 selected")
        assert (await Axe().run(page)).response["violations"] == []
        await page.get_by_role("group", name="With those selected").get_by_role("button", name="Stop…").click()
        dialog = page.get_by_role("dialog")
        await dialog.get_by_label("Why").fill("superseded")
        await dialog.get_by_role("button", name="Stop: 2").click()
        await expect(dialog.get_by_role("status")).to_have_text("2 accepted.")
        await dialog.get_by_role("button", name="Close").click()
        await expect(page.locator("#selected")).to_have_text("")

    assert {one.command for one in commands.submitted} == {
        StopTaskExecution(execution_id=id_, reason="superseded") for id_ in IDS[:2]
    }


async def test_rows_are_selected_by_clicks_and_keys_go_on_from_there(browser: Browser) -> None:
    async with shown(browser, queries=Several()) as (page, url):
        await page.goto(f"{url}/executions")
        boxes = page.locator("[name=executionId]")
        await boxes.nth(1).click()
        await boxes.nth(3).click(modifiers=["Shift"])
        await expect(page.locator("#selected")).to_have_text("3 selected")
        await page.keyboard.press("j")
        await page.keyboard.press("x")
        await expect(boxes.nth(4)).to_be_checked()
        await page.get_by_label("Select all on this page").click()
        await expect(page.locator("#selected")).to_have_text("5 selected")
        await page.get_by_role("button", name="Select none").click()
        await expect(boxes.nth(1)).not_to_be_checked()
        await boxes.nth(2).focus()
        await page.keyboard.press("Enter")
        await page.wait_for_url(f"**/executions/{IDS[2]}")


async def test_a_selection_stays_when_the_list_changes(browser: Browser) -> None:
    live, queries = Live(), Several()
    async with shown(browser, live=live, queries=queries) as (page, url):
        await page.goto(f"{url}/executions")
        boxes = page.locator("[name=executionId]")
        await boxes.nth(0).check()
        await boxes.nth(2).check()
        await page.evaluate("document.activeElement.blur()")
        queries.gone = 1
        live.happens("TaskExecutionStopped")
        await page.get_by_role("button", name="1 change: show").click()

        await expect(boxes).to_have_count(4)
        assert [await boxes.nth(place).is_checked() for place in range(4)] == [False, True, False, False]
        await expect(page.locator("#selected")).to_have_text("2 selected, 1 of them not on this page now")
        live.happens("TaskExecutionStopped")
        await expect(page.get_by_role("button", name="1 change: show")).to_be_visible()


async def test_what_was_closed_goes_no_further_and_acts_by_one_key(browser: Browser) -> None:
    """A dialog that is closed while it works, and opened again for something else."""
    asked: list[Any] = []
    async with shown(browser, queries=Several()) as (page, url):
        answer = asyncio.Event()

        async def act(route: Any) -> None:
            asked.append(route.request)
            await answer.wait()
            await route.continue_()

        await page.goto(f"{url}/executions")
        await page.route("**/actions", act)
        await page.get_by_label("Select all on this page").click()
        await page.evaluate("for (let n = 0; n < 300; n++) selected.add(`0f2c1d9e-7b0a-5a64-9c3b-2f6b1c0e${n + 1000}`)")
        await page.locator("button[name=action][value=stop]").click()
        dialog = page.get_by_role("dialog")
        await dialog.get_by_label("Why").press("Enter")
        await expect(dialog.get_by_role("progressbar")).to_be_visible()
        await dialog.get_by_role("button", name="Close").click()
        await page.locator("button[name=action][value=rerun]").click()
        async with page.expect_response("**/actions"):
            answer.set()
        await page.wait_for_timeout(300)
        await expect(dialog.get_by_role("status")).to_contain_text("selected.")
        await page.keyboard.press("o")
        await expect(dialog).to_be_visible()
    (only,) = asked
    assert only.post_data_json["action"] == "stop"
    assert only.headers["idempotency-key"]


async def test_who_comes_back_has_nothing_selected(browser: Browser) -> None:
    """Browsers keep which box was ticked, not whose it is."""
    queries = Several()
    async with shown(browser, queries=queries) as (page, url):
        await page.goto(f"{url}/executions")
        await page.locator("[name=executionId]").nth(1).check()
        await page.goto(f"{url}/rejections")
        queries.gone = 1
        await page.go_back()
        await expect(page.locator("[name=executionId]")).to_have_count(4)
        await page.wait_for_timeout(300)
        assert await page.locator("[name=executionId]:checked").count() == 0
        await expect(page.locator("#selected")).to_have_text("")


async def test_what_a_list_lacks_is_offered_to_who_is_busy_by_then(browser: Browser) -> None:
    live, queries = Live(), Several()
    async with shown(browser, live=live, queries=queries) as (page, url):
        await page.goto(f"{url}/executions")
        async with page.expect_response("**/executions"):
            live.happens("TaskExecutionStopped", "1:8")  # the read side stays behind
        await page.locator("[name=executionId]").first.check()
        await page.evaluate("document.activeElement.blur()")
        await expect(page.get_by_role("button", name="1 change: show")).to_be_visible()


async def test_what_refuses_stays_selected_and_says_why(browser: Browser) -> None:
    why = problem(Code.INVALID_TRANSITION, "It has ended.")
    commands = ScriptedCommands(CommandReply(outcome=Outcome.REJECTED, problem=why))
    async with shown(browser, commands, queries=Several()) as (page, url):
        await page.goto(f"{url}/executions")
        await page.locator("[name=executionId]").first.check()
        await page.locator("button[name=action][value=stop]").click()
        dialog = page.get_by_role("dialog")
        await dialog.get_by_role("button", name="Stop: 1").click()
        await expect(dialog.get_by_role("listitem")).to_have_text(f"{IDS[0][:8]} It has ended.")
        assert (await Axe().run(page)).response["violations"] == []
        await dialog.get_by_role("button", name="Close").click()
        await expect(page.locator("#selected")).to_have_text("1 selected")


async def test_everybody_can_read_what_asks_first_and_what_became_of_each(browser: Browser) -> None:
    async with shown(browser, queries=Several(), width=390) as (page, url):
        await page.goto(f"{url}/executions")
        await page.locator("[name=executionId]").first.check()
        await page.evaluate("""() => {  // as without scripts, which axe needs
            const form = document.getElementById("choice"), action = document.createElement("input");
            form.append(Object.assign(action, { type: "hidden", name: "action", value: "stop" }));
            form.submit();
        }""")
        button = page.get_by_role("button", name="Stop: 1")
        await expect(button).to_be_visible()
        assert (await Axe().run(page)).response["violations"] == []
        await button.click()
        await expect(page.locator("h1")).to_have_text("Stop 1 accepted")
        assert (await Axe().run(page)).response["violations"] == []
        assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth")


async def test_without_scripts_what_is_selected_is_run_again(browser: Browser) -> None:
    commands = ScriptedCommands()
    async with shown(browser, commands, queries=Several(executions=[FAILURE]), scripts=False) as (page, url):
        await page.goto(f"{url}/executions?tag=nightly")
        await page.locator("[name=executionId]").nth(1).check()
        await page.locator("[name=executionId]").nth(2).check()
        await page.get_by_role("button", name="Run again…").last.click()
        await page.get_by_role("button", name="Run again: 2").click()

        await expect(page.locator("h1")).to_have_text("Run again 2 accepted")
        await expect(page.get_by_role("link", name="the new one")).to_have_count(2)
        await page.reload()  # which sends it again
        await page.get_by_role("link", name="Back to the list").click()
        await page.wait_for_url("**/executions?tag=nightly")
    assert len({one.id for one in commands.submitted}) == 2
    assert len(commands.submitted) == 4
