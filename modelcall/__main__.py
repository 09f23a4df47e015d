"""``python -m modelcall`` is ``modelcall``."""

from modelcall.cli.main import main

if __name__ == "__main__":
    main()
