"""`python -m medveil` is `medveil`."""

from medveil.cli.main import run

if __name__ == "__main__":
    run()
