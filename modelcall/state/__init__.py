"""What a run remembers: run record, listing, lock, ledger, journal, manifest."""
