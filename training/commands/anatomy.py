"""`sentopic-train anatomy`: a model's gates and states, drawn."""

import argparse
from pathlib import Path

from app.engines.quiet import native_stderr_muted
from training.commands.options import Commands


def add(commands: Commands) -> None:
    inside = commands.add_parser("anatomy", help="draw a model's gates and states over the words of a text")
    inside.add_argument("bundles", metavar="BUNDLE", type=Path, nargs="+", help="a bundle's directory")
    inside.add_argument("--text", required=True, help="the text; its last window is drawn")
    inside.add_argument("--out", type=Path, default=Path("runs/anatomy"), metavar="DIR", help="default: runs/anatomy")
    inside.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    from app.bundle import read_bundle

    with native_stderr_muted():
        from training import anatomy, plots

    options.out.mkdir(parents=True, exist_ok=True)
    bundles = {f"{path.parent.name}/{path.name}": read_bundle(path) for path in options.bundles}
    found = {name: anatomy.dissect(bundle, options.text) for name, bundle in bundles.items()}
    for name, dissected in found.items():
        plots.draw_gates(dissected, name, options.out / f"gates-{name.replace('/', '-')}.png")
    plots.draw_padding(found, options.out / "padding.png")
    print(f"figures: {options.out}")
    return 0
