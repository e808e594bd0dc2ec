"""What medveil costs and keeps, measured on real images: rates and fidelity, speed, memory, depth.

`python -m benchmarks` prints every table; `python -m benchmarks.evidence` also writes evidence/*.json and the tables of
the documents. The real images are looked for in ../shared beside the checkout, or where MEDVEIL_SHARED says.
"""
