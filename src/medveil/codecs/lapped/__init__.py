"""Codec `lapped`: a lapped orthogonal transform, integers only on the way back, no weights.

`codec` is the codec and `encoder` its encoder. `transform` makes coefficients; `cell_ranking` says which cell of which
code map each is; `scan_order` and `significance` walk and predict them; `side_information` and `dc_plane` code what the
decoder needs besides; `rate_allocation` and `composition_padding` keep to a public composition. Tables are made by
tools/calibrate_lapped.py.
"""
