"""A program that trains for two epochs from a release and logs every file that Python opens for writing.

    python -m tests.releases.watched_training <release> <key> <fork|spawn|forkserver> <log> <transform>

The hook is set when this module is imported, so it is there in every worker, whichever way that is started, before the
data set arrives. Native code does not pass the hook: the test watches the folders from outside as well.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import stat
import sys
import tempfile
from pathlib import Path

_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
_OTHER = ("os.rename", "os.link", "os.symlink", "os.truncate", "os.mkdir", "tempfile.mkstemp", "sqlite3.connect")
_LOG = sys.argv[4] if len(sys.argv) > 4 else ""
_busy = False


def _log(kind: str, what: str) -> None:
    descriptor = os.open(_LOG, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.write(descriptor, (json.dumps([os.getpid(), kind, what]) + "\n").encode())
    os.close(descriptor)


def _watch(event: str, arguments: tuple) -> None:
    global _busy
    if _busy or not _LOG:
        return
    _busy = True
    try:
        if event == "open":
            name, _, flags = arguments
            writing = isinstance(flags, int) and flags & _WRITING
            if writing and not isinstance(name, int) and name != _LOG:
                _log("write", os.fsdecode(name))
            elif str(name).endswith(".mveil"):
                _log("package", str(name))
        elif event in _OTHER:
            name = arguments[0]
            _log(event, os.readlink(f"/proc/self/fd/{name}") if isinstance(name, int) else str(name))
    finally:
        _busy = False


tempfile.tempdir = os.environ.get("TMPDIR")  # or tempfile finds out by writing there
sys.addaudithook(_watch)


def log_descriptors() -> None:
    """Log every regular file that this process holds open for writing and that has a name or a disk."""
    for name in os.listdir("/proc/self/fd"):
        try:
            target, status = os.readlink(f"/proc/self/fd/{name}"), os.fstat(int(name))
            writable = fcntl.fcntl(int(name), fcntl.F_GETFL) & os.O_ACCMODE != os.O_RDONLY
        except OSError:
            continue
        in_memory = target.startswith(("/memfd:", "/dev/shm/"))
        if writable and stat.S_ISREG(status.st_mode) and not in_memory:
            _log("descriptor", target)


def look(image):
    """The transform of the watched training: changes nothing."""
    log_descriptors()
    return image


def leave_pictures(image):
    """A transform that writes each image twice: as a PNG file, and by native code that removes its file at once.

    The hook sees the first; only who watches the folder sees the second.
    """
    import torch
    from PIL import Image as Picture

    folder = Path(os.environ["TMPDIR"])
    name = f"{hashlib.sha256(image.numpy().tobytes()).hexdigest()[:8]}.png"
    Picture.fromarray((image[0] * 255).byte().numpy()).save(folder / name)
    native = folder / f"{os.getpid()}.native"
    writer = torch._C.PyTorchFileWriter(str(native))
    writer.write_record("image", image.numpy().tobytes(), image.numel() * 4)
    writer.write_end_of_file()
    native.unlink()
    return image


def main() -> None:
    """Two epochs by the same two workers; prints digests of what came, by epoch, and what is in the cache."""
    from torch.utils.data import DataLoader

    import medveil

    folder, key, method, _, transform = sys.argv[1:]
    data = medveil.Release(folder).dataset(key, transform=globals()[transform], cache_bytes=1 << 20)
    loader = DataLoader(
        data, batch_size=2, num_workers=2, persistent_workers=True, multiprocessing_context=method
    )  # fmt: skip
    epochs = []
    for _ in range(2):
        found = [image.numpy().tobytes() for batch in loader for image in batch]
        epochs.append([hashlib.sha256(each).hexdigest() for each in found])
        _log("epoch", "end")
    log_descriptors()
    print(json.dumps({"epochs": epochs, "cached": data.cached}))


if __name__ == "__main__":
    main()
