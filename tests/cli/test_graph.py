"""The graph around an execution, as trees."""

import json

from tests.api.scripted import DOWNSTREAM, GRAPH, ID, LAST, UPSTREAM
from tests.cli.conftest import Service


def test_it_is_shown_as_what_it_waits_for_and_what_waits_for_it(service: Service) -> None:
    shown = service.run("graph", ID, "--min-position", "3:1207")

    assert shown.exit_code == 0
    assert shown.stdout.splitlines() == [
        f"✗ FAILURE clean sales:daily_report {ID}",
        "├── waits for",
        f"│   └── ✓ SUCCESS collect\\x1b[31m a:b {UPSTREAM}",
        "└── is waited for by",
        f"    ├── ↷ SKIPPED a:b {LAST}",
        f"    └── ↷ SKIPPED score a:b {DOWNSTREAM}",
        f"        └── ↷ SKIPPED a:b {LAST}",
    ]
    assert service.queries.asked == [{"execution_id": ID, "min_position": "3:1207"}]


def test_it_can_be_had_as_json(service: Service) -> None:
    graph = json.loads(service.run("graph", ID, "--json").stdout)

    assert (graph["nodes"], graph["edges"]) == (GRAPH["nodes"], GRAPH["edges"])


def test_what_is_met_again_is_not_followed_again_and_what_is_cut_off_is_told(service: Service) -> None:
    first, *others = [f"{number:08}-0000-5000-8000-000000000000" for number in range(6)]
    pairs = [(ID, first), *((first, one) for one in others[:2]), *((one, others[2]) for one in others[:2])]
    chain = [*pairs, (others[2], others[3])]
    service.queries.graph_told = {
        "nodes": [{"id": one} for one in (ID, first, *others)],
        "edges": [{"upstream": up, "downstream": down} for down, up in chain],
        "truncated": True,
    }
    shown = service.run("graph", ID)

    assert [line.lstrip("│├└─ ") for line in shown.stdout.splitlines()[2:]] == [
        f"? not there {first}",
        f"? not there {others[0]}",
        f"? not there {others[2]}",
        f"? not there {others[3]}",
        f"? not there {others[1]}",
        f"? not there {others[2]} (see above)",
    ]
    assert shown.stderr == "7 executions are shown, the nearest ones; there are more\n"
