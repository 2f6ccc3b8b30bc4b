"""The bulk path of the backfill on real servers, with processes beside the node and without."""
