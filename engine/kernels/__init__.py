"""Pure numerics: arrays in, arrays out. No labels, no files, no cluster."""
