"""Codec `primis`: the learned sparse code of PRIMIS. Needs torch (extra `primis`).

`codec` is the codec, `cells` brings levels of the network to code maps, `weights_file` reads and writes weights,
`training_run` is what `medveil train` runs, and `interpretable_primis` says where in a picture a cell is.
"""
