"""Attacks that make a picture of what is public: learned decoders, and translation of the keyless view."""
