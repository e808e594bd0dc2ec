"""Files on disk: writing them whole, finding them, naming them safely."""
