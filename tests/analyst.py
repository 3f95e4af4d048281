"""The engine in process, as an analyst sees it.

It knows users from a file only. So what analysts.sql says is put into one, grants and limits word by word, of the only
user that the engine takes.
"""

import re
from importlib.resources import files
from pathlib import Path
from typing import Final

import clickhouse_connect
from clickhouse_connect.driver.client import Client

SQL: Final = (files("service.read_model.clickhouse") / "analysts.sql").read_text(encoding="utf-8")
GRANTED: Final[list[str]] = re.findall(r"^GRANT SELECT ON (\w+) TO taskexec_analyst;$", SQL, re.MULTILINE)

_LIMITS: Final = re.compile(r"ALTER SETTINGS PROFILE taskexec_analyst SETTINGS\n(.*?);\n", re.DOTALL)
_LIMIT: Final = re.compile(r"\s*(\w+) = '?(\w+)'?(?: MIN (\d+) MAX (\d+))?( CONST)?\s*")
_ALL: Final = ["GRANT ALL ON *.* WITH GRANT OPTION"]


def open_engine(directory: Path, *, as_analyst: bool) -> Client:
    """A client of the engine in this directory; one kind at a time."""
    grants = [f"GRANT SELECT ON default.{name}" for name in GRANTED] if as_analyst else _ALL
    users = directory / f"users_{as_analyst}.xml"
    users.write_text(
        f"<clickhouse><profiles><default/><analyst>{_profile()}</analyst></profiles><quotas><default/></quotas><users>"
        f"{_user('analyst' if as_analyst else 'default', grants)}</users></clickhouse>"
    )
    config = directory / "config.xml"
    config.write_text("<clickhouse/>")  # without one, the engine does not look for users
    options = {"config-file": str(config), "users_config": str(users)}
    return clickhouse_connect.get_client(interface="chdb", path=f"{directory}/clickhouse", chdb_options=options)


def _user(profile: str, grants: list[str]) -> str:
    queries = "".join(f"<query>{grant}</query>" for grant in grants)
    return (
        f"<default><password/><networks><ip>::/0</ip></networks><profile>{profile}</profile><quota>default</quota>"
        f"<grants>{queries}</grants></default>"
    )


def _profile() -> str:
    (limits,) = _LIMITS.findall(SQL)
    values, constraints = "", ""
    for item in limits.split(","):
        found = _LIMIT.fullmatch(item)
        assert found, item
        name, value, least, most, const = found.groups()
        values += f"<{name}>{value}</{name}>"
        if const or least:
            bounds = "<const/>" if const else f"<min>{least}</min><max>{most}</max>"
            constraints += f"<{name}>{bounds}</{name}>"
    return f"{values}<constraints>{constraints}</constraints>"
