"""The 93 texture and intensity features of a masked picture, in numpy and scipy, equal to those of PyRadiomics."""
