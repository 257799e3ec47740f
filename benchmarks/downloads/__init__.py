"""SYNTHETIC files in the true layouts of publishers' downloads, of any size."""
