"""The 93 texture and intensity features of a masked picture, in numpy and scipy, equal to those of PyRadiomics 3.0.1.

Data. A picture and a mask come in; `resampling` brings pixels to one size in mm, `discretise` turns grey values into
grey levels, and each family counts its matrix and reads its features from it: `first_order` (18), `glcm` (24), `gldm`
(14), `glrlm` (16), `glszm` (16) and `ngtdm` (5). `directions` and `size_matrix` are what several families share.

Import: `table.features`, which gives all of them in one fixed order, with their names.

What holds:
- They agree with PyRadiomics: tests/tasks compares with its stored output, and with the program where it is installed.
- Each module names the paper that its features come from.

To add a feature: the module of its family, its name in `table`, and its reference among the stored values of the
tests.
"""
