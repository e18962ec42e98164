"""Tests that drive a browser: a package, so that file names may repeat those one level up."""
