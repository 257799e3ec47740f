"""What a run keeps on disk: prepared tables, the ensemble with its ledger and lock, the record."""
