"""Tables and bars of training from a sealed release."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from benchmarks.table import Bar, Collected, Table, results_of

_REGIMES = {"first": "first epoch, opens every package", "later": "later epochs, from memory", "training": "{} epochs"}
_THROUGHPUT = 0.8


def throughput_table(collected: Collected) -> Table:
    """Images a second of the same training from a sealed release and from PNG files."""
    found = results_of(collected, "training_throughput")
    rows = [
        (
            f"{row['network']}, {row['side']} px, {_regime(name, found)}",
            f"{one['sealed_images_a_second']:.1f}",
            f"{one['png_images_a_second']:.1f}",
            f"{one['ratio']:.2f} ({one['ratio_lowest']:.2f}–{one['ratio_highest']:.2f})",
        )
        for row in found["rows"]
        for name, one in row["regimes"].items()
    ]
    single = found["seconds_an_image"]
    title = (
        f"Training with {found['workers']} workers, batches of {found['batch']}; one image alone takes "
        f"{1000 * single['sealed']:.0f} ms to open, {1000 * single['png']:.0f} ms to read as PNG"
    )
    header = ("network and epoch", "sealed, images/s", "PNG, images/s", "ratio (lowest–highest round)")
    return Table(title, header, rows)


def throughput_bars(results: Mapping[str, Any]) -> Iterator[Bar]:
    """Every regime has its bar, also those that cannot be met."""
    for row in results["rows"]:
        for name, one in row["regimes"].items():
            yield Bar(
                f"training from a sealed release, {row['network']}, {row['side']} px, {_regime(name, results)}, "
                f"{results['workers']} workers",
                f"≥ {_THROUGHPUT} × plain PNG files", "",
                f"{one['ratio']:.2f} × ({one['ratio_lowest']:.2f}–{one['ratio_highest']:.2f})",
                one["ratio"] >= _THROUGHPUT,
            )  # fmt: skip


def _regime(name: str, results: Mapping[str, Any]) -> str:
    return _REGIMES[name].format(results["training_epochs"])


BARS = {"training_throughput": throughput_bars}
TABLES = {"training-throughput": (("training_throughput",), throughput_table)}
