"""One run of `sentopic-train compare` on another machine: what is sent there, and what comes back.

Knows no cluster: `spread.py` has Ray.
"""

import io
import shutil
import tarfile
import tempfile
from dataclasses import dataclass
from pathlib import Path

from app import __version__
from app.errors import ClusterError, DataError
from training.recipes import Recipe


@dataclass(frozen=True)
class Order:
    """`data`, `source`, `limit`: which texts, at the same place on all machines; `sha256`: theirs.

    `folder`: where this machine wants what comes back.
    """

    recipe: Recipe
    seed: int
    folder: Path
    data: Path | None
    source: str
    limit: int | None
    sha256: str
    version: str = __version__

    @property
    def name(self) -> str:
        return f"{self.recipe.id} seed {self.seed}"


def do(order: Order) -> bytes:
    """On the other machine: the run's folder, as a tar file. Raises ClusterError or DataError."""
    if order.version != __version__:
        raise ClusterError(f"a machine of the cluster has sentopic {__version__}, this one {order.version}")
    from training import compare
    from training.commands import options

    dataset = options.load(
        order.recipe.data, order.data, order.source, order.limit, unlabelled=bool(order.recipe.unlabelled)
    )
    if dataset.sha256 != order.sha256:
        raise DataError(f"{order.data}: a machine of the cluster has other texts there")
    with tempfile.TemporaryDirectory(prefix="sentopic-") as root:
        folder = Path(root) / order.folder.name
        compare.train(order.recipe, order.seed, dataset, folder, lambda _: None)
        return pack(folder)


def pack(folder: Path) -> bytes:
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w:gz", compresslevel=1) as archive:
        archive.add(folder, arcname=".")
    return target.getvalue()


def unpack(packed: bytes, folder: Path) -> None:
    """The folder is there once all of it is. Raises OSError if it was there before, and is not empty."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    aside = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        with tarfile.open(fileobj=io.BytesIO(packed), mode="r:gz") as archive:
            archive.extractall(aside, filter="data")
        aside.chmod(0o755)
        aside.rename(folder)
    finally:
        shutil.rmtree(aside, ignore_errors=True)
