"""One image on disk: the package, its way in (`packing`) and out (`unpacking`), and what it says of its original."""
