"""A script of its own, since a crash of gdcm must end no other process: decodes one JPEG frame; run by path.

gdcm ends the process when it meets some damaged codestreams, so it gets one to itself, with limited memory. Arguments:
transfer syntax, height, width, precision, 1 for signed, bytes of memory. The codestream comes on standard input, the
pixels (one or two bytes each, little endian) leave on standard output; exit code 3 says that gdcm is not installed.
"""

import contextlib
import sys

MISSING = 3


def main(syntax: str, height: int, width: int, precision: int, signed: int, memory: int) -> int:
    """Decode; the result is the exit code."""
    with contextlib.suppress(ImportError, ValueError, OSError):
        import resource

        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    try:
        import gdcm
    except ImportError:
        return MISSING
    fragment, sequence = gdcm.Fragment(), gdcm.SequenceOfFragments.New()
    fragment.SetByteStringValue(sys.stdin.buffer.read())
    sequence.AddFragment(fragment)
    element = gdcm.DataElement(gdcm.Tag(0x7FE0, 0x0010))
    element.SetValue(sequence.__ref__())
    image = gdcm.Image()
    image.SetNumberOfDimensions(2)
    image.SetDimensions((width, height, 1))
    image.SetDataElement(element)
    grey = gdcm.PhotometricInterpretation.GetPIType("MONOCHROME2")
    image.SetPhotometricInterpretation(gdcm.PhotometricInterpretation(grey))
    image.SetTransferSyntax(gdcm.TransferSyntax(gdcm.TransferSyntax.GetTSType(syntax)))
    image.SetPixelFormat(gdcm.PixelFormat(1, 8 if precision <= 8 else 16, precision, precision - 1, signed))
    sys.stdout.buffer.write(image.GetBuffer().encode("utf-8", "surrogateescape"))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], *(int(argument) for argument in sys.argv[2:])))
