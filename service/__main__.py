"""The entry point of `taskexec` and of `python -m service`."""

from service.cli.main import app


def main() -> None:
    """Run the command line."""
    app(prog_name="taskexec")


if __name__ == "__main__":
    main()
