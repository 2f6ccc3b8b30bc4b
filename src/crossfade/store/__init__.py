"""One side's data of one entity, behind one small protocol."""
