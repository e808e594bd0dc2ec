"""What an exact image needs beside the picture of the diagnostic code, without loss.

`exact` takes the shorter of two: the residual coder (`coder`, its `model`, `stream` and `tables`, and `refinement`,
what it reads off the base code) or JPEG-LS (`jpegls`).
"""
