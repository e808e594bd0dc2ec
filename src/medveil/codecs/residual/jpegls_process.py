"""A script of its own, since a crash of CharLS must end no other process: decodes one JPEG-LS codestream.

A native decoder that meets bytes of a hostile owner gets a process to itself, with limited memory. Argument: bytes of
memory. The codestream comes on standard input, the samples (one or two bytes each, little endian) leave on standard
output; exit code 3 says that pyjpegls is not installed.
"""

import contextlib
import sys

MISSING = 3


def main(memory: int) -> int:
    """Decode; the result is the exit code."""
    with contextlib.suppress(ImportError, ValueError, OSError):
        import resource

        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    try:
        import jpeg_ls
    except ImportError:
        return MISSING
    samples, _ = jpeg_ls.decode_buffer(sys.stdin.buffer.read())
    sys.stdout.buffer.write(samples)
    return 0


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1])))
