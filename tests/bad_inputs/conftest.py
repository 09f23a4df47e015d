from tests.cli.conftest import server, shell

__all__ = ["server", "shell"]
