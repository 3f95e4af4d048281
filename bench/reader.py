"""The projector and the API in one process, as `up` runs them: a chdb directory has one user at a time."""

from service.bootstrap import running_service
from service.logs import configure_logs
from service.runtime.running import Role
from service.runtime.signals import run_until_terminated
from service.settings import Settings


async def _serve() -> None:
    async with running_service(Settings(), {Role.PROJECTOR, Role.API}) as running:
        print(running.url, flush=True)
        await running.watch


if __name__ == "__main__":
    configure_logs("WARNING")
    run_until_terminated(_serve())
