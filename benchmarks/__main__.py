"""`python -m benchmarks`: see `benchmark`."""

from benchmarks.benchmark import main

if __name__ == "__main__":
    main()
